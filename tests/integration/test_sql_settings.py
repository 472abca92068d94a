"""Settings of the environment, the login and the database do not change what storekit stores and returns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from storekit import contains
from storekit.drivers.postgres.admin import catalog, declared, mirror
from storekit.drivers.postgres.admin.as_owner import as_owner
from storekit.drivers.postgres.admin.connect import connect
from storekit.drivers.postgres.admin.runner import migrate
from storekit.schema.ddl import render
from storekit.schema.lines import core
from tests.integration.papers import DAY, MOMENT, MORE, TEXT, Paper, opened, papers_database
from tests.support.postgres import Database, fresh_database, write_line
from tests.support.stored_blob import store_blob

SETTINGS = {
    "default_transaction_isolation": ["repeatable read", "serializable"],
    "default_transaction_read_only": ["on"],
    "default_transaction_deferrable": ["on"],
    "search_path": ["public, pg_catalog", "nowhere"],
    "timezone": ["Asia/Tokyo"],
    "datestyle": ["German, DMY"],
    "intervalstyle": ["sql_standard"],
    "bytea_output": ["escape"],
    "extra_float_digits": ["-15"],
    "standard_conforming_strings": ["off"],
    "quote_all_identifiers": ["on"],
    "check_function_bodies": ["off"],
    "row_security": ["off"],
    "array_nulls": ["off"],
    "transform_null_equals": ["on"],
    "gin_fuzzy_search_limit": ["1"],
    "jit_above_cost": ["0"],
    "plan_cache_mode": ["force_custom_plan", "force_generic_plan"],
    "enable_sort": ["off"],
    "enable_indexscan": ["off"],
    "enable_nestloop": ["off"],
    "statement_timeout": ["1min"],
    "lock_timeout": ["1min"],
    "client_encoding": ["LATIN1"],
}


@pytest.fixture(scope="module")
def papers(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with papers_database(cluster, tmp_path_factory.mktemp("papers")) as made:
        yield made


_CHANGING = {"id", "ref_id", "tenant_id", "created_on", "created_by", "updated_on", "scan_ref", "deleted_on"}


def outcome(database: Database) -> list[Any]:
    """Make each kind of call, and return what it returned, without ids and times."""
    with opened(database) as store:
        scope = store.scope(tenant=uuid4(), actor="test")
        papers = scope.repository(Paper)
        saved = papers.save_many([Paper(name=f"{n} {TEXT}") for n in range(12)])
        first = saved[0]
        store_blob(database, first, "scan")
        read = papers.get(first.ref_id)
        assert read.scan is not None
        path = urlsplit(papers.url(first.ref_id, "scan")).path
        pages = [papers.find({"tags": contains("b")}, order_by="-moment", limit=5)]
        while pages[-1].next:
            pages.append(
                papers.find({"tags": contains("b")}, order_by="-moment", limit=5, after=pages[-1].next)
            )
        found = papers.find({"stage": "new", "moment": MOMENT, "day": DAY, "weight": 0.1 + 0.2})
        updated = papers.update(first.ref_id, {"weight": 0.7 + 0.1, "name": TEXT})
        again = papers.upsert([Paper(name=TEXT, cost=Decimal("2.00"))])
        moved = papers.transition(first.ref_id, "done")
        with scope.transaction(idempotency_key="k") as tx:
            tx.save(Paper(name="unit"))
            tx.flush()
            tx.connection.execute("SELECT 1")
            tx.save(Paper(name="unit 2"))
        count = papers.count({"tags": contains("b")})
        papers.delete(first.ref_id)
        events = papers.history(first.ref_id)
        return [
            [getattr(each, name) for each in (read, updated, again[0], moved) for name in Paper.model_fields
             if name not in _CHANGING and name != "scan"],
            (read.scan.size, path.endswith(path.rpartition("/")[2]), len(path)),
            ([len(page) for page in pages], len(found), count),
            [(e.type, e.version, _plain(e.before), _plain(e.after)) for e in events],
        ]  # fmt: skip


def _plain(image: Any) -> Any:
    return image and {name: value for name, value in image.items() if name not in _CHANGING}


@pytest.fixture(scope="module")
def expected(papers: Database) -> list[Any]:
    return outcome(papers)


CASES = [(name, value) for name, values in SETTINGS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
@pytest.mark.parametrize("source", ["environment", "login", "database"])
def test_a_setting_changes_no_result(
    papers: Database, expected: list[Any], monkeypatch: pytest.MonkeyPatch, source: str, name: str, value: str
) -> None:
    """Save, get, url, find, count, update, upsert, transition, delete, history and a unit of work return the
    same, whatever a setting is in PGOPTIONS, for the login, or for the database."""
    if source == "environment":
        monkeypatch.setenv("PGOPTIONS", f"-c {name}={value}".replace(" ", r"\ ").replace(r"-c\ ", "-c "))
        assert outcome(papers) == expected
        return
    place = "ROLE app" if source == "login" else f"DATABASE {papers.name}"
    change = sql.SQL(f"ALTER {place} SET {{}} = {{}}").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
    )
    with psycopg.connect(papers.super_url, autocommit=True) as root:
        root.execute(change)
        try:
            assert outcome(papers) == expected
        finally:
            root.execute(f"ALTER {place} RESET ALL".encode())


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_writers_do_not_disturb_each_other(papers: Database, level: str) -> None:
    """Concurrent saves of unrelated records, and updates of one record, all succeed in a database whose
    default is REPEATABLE READ or SERIALIZABLE."""
    tenant, failed = uuid4(), []
    papers.ask(f"ALTER ROLE app SET default_transaction_isolation = '{level}'")
    try:
        with opened(papers, pool_size=9) as store:
            records = store.scope(tenant=tenant, actor="test").repository(Paper)
            shared = records.save(Paper(name="shared"))

            def work(writer: int) -> None:
                try:
                    for n in range(15):
                        records.save(Paper(name=f"{writer}.{n}"))
                        records.update(shared.ref_id, {"kind": f"{writer}.{n}"})
                except Exception as error:
                    failed.append(error)

            threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failed == []
            assert records.get(shared.ref_id).version == 1 + 8 * 15
            assert records.count() == 1 + 8 * 15
    finally:
        papers.ask("ALTER ROLE app RESET ALL")


@pytest.mark.parametrize(("name", "value"), [case for case in CASES if case[0] != "client_encoding"])
def test_a_setting_changes_no_migration(cluster: str, tmp_path: Path, name: str, value: str) -> None:
    """Migrations, the mirror and the comparison with the classes are the same, whatever a setting of the
    database is."""
    with fresh_database(cluster) as database:
        values = sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
        with psycopg.connect(database.super_url, autocommit=True) as root:
            root.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(database.name), sql.Identifier(name), values
                )
            )
        migrate(database.url("admin"), [core(), write_line(tmp_path / "own", "own", render(Paper), MORE)])
        assert _schema(database) == _schema_without_settings(cluster, tmp_path)


_reference: list[Any] = []


def _schema_without_settings(cluster: str, tmp_path: Path) -> Any:
    if not _reference:
        with fresh_database(cluster) as database:
            migrate(database.url("admin"), [core(), write_line(tmp_path / "ref", "own", render(Paper), MORE)])
            _reference.append(_schema(database))
    return _reference[0]


def _schema(database: Database) -> Any:
    with connect(database.url("admin")) as connection:
        files = mirror.read(connection)
        with as_owner(connection):
            return files, catalog.facts(connection, "papers"), declared.declared(connection, Paper)
