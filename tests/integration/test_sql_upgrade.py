"""A database of an earlier release, with data, brought up to this one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from storekit.drivers.postgres.admin import isolation
from storekit.drivers.postgres.admin.migrate import connect, grant, migrate
from storekit.ids import new_id, new_ref_id
from storekit.schema import files
from storekit.schema.lines import Line, core, shipped
from tests.support.postgres import MEMBERS, Database, fresh_database
from tests.support.write_api import Api, blob_part, change_op, events, insert_op, uploaded

FIRST_RELEASE = {"core": 3, "agency": 5}


@pytest.fixture
def database(cluster: str, tmp_path: Path) -> Iterator[Database]:
    """Make a database as the first release left it."""
    migrations = Path(str(files.root() / "postgres" / "migrations"))
    lines = []
    for name, last in FIRST_RELEASE.items():
        source, kept = migrations if name == "core" else migrations / name, tmp_path / name
        kept.mkdir()
        for file in sorted(source.glob("*.sql"))[:last]:
            shutil.copy(file, kept)
        lines.append(Line(name, kept))
    with fresh_database(cluster) as fresh:
        migrate(fresh.url("admin"), lines)
        grant(fresh.url("admin"), MEMBERS)
        yield fresh


def save_contract(api: Api) -> tuple[str, str]:
    """Save a contract with its PDF; answer its ref_id and part id."""
    write, ref_id = new_id(), new_ref_id()
    api.stage(write, [part := blob_part(ref_id, table="contracts", field="pdf")])
    row = {"ref_id": ref_id, "title": "T", "accepted_by": "jane", "accepted_on": "2026-01-01T00:00:00Z"}
    op = insert_op("contracts", [row | {"pdf_ref": part["part_id"]}], ["pdf"])
    api.commit(write, [op], uploaded(part))
    return ref_id, part["part_id"]


def test_what_was_there_is_kept_and_comes_under_the_new_rules(database: Database) -> None:
    """Rows, parts and events stay; machines, the append-only guard and the queue hold for old rows too."""
    with database.connect() as connection:
        api = Api(connection)
        run = api.insert("activity_runs", activity="a", agent="b", status="succeeded")
        contract, part = save_contract(api)
        before = events(database, run) + events(database, contract)

        migrate(database.url("admin"), [core(), shipped("agency")])

        assert events(database, run) + events(database, contract) == before
        assert database.ask("SELECT state::text FROM storekit.part WHERE part_id = %s", part) == [
            ("committed",)
        ]
        api.commit(new_id(), [change_op("update", "activity_runs", {"ref_id": run, "error": "late"})])
        assert refusal(api.commit, new_id(), [change_op("update", "activity_runs", back(run))]) == "SK410"
        assert (
            refusal(database.ask, "UPDATE contracts SET title = 'x' WHERE ref_id = %s", contract) == "SK405"
        )
        assert events(database, run)[-1][:2] == ("activity_runs.updated", 2)
    with connect(database.url("admin")) as admin:
        assert isolation.breaches(admin) == []


def back(ref_id: str) -> dict[str, str]:
    """Name the change of a finished run to one that runs."""
    return {"ref_id": ref_id, "status": "running"}


def refusal(call: Any, *arguments: Any) -> str:
    """Tell by which SQLSTATE a call is refused."""
    with pytest.raises(psycopg.Error) as error:
        call(*arguments)
    return str(error.value.sqlstate)
