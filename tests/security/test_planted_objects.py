"""storekit uses the functions, operators, types and casts of Postgres, never those of somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit import (
    Blob,
    Entity,
    Mutable,
    SoftDelete,
    Store,
    blob,
    contains,
    ge,
    in_,
    index,
    is_null,
    moves,
    prefix,
)
from storekit.agency import ENTITIES, ActivityRun, ActivityTemplate, BlogPost, LlmCall, Session
from storekit.bridge import run
from storekit.drivers.postgres.admin import catalog, declared, mirror
from storekit.drivers.postgres.admin.as_owner import as_owner
from storekit.drivers.postgres.admin.connect import connect
from storekit.drivers.postgres.admin.isolation import breaches
from storekit.drivers.postgres.admin.runner import grant, migrate, status
from storekit.ids import new_id
from storekit.ports.statements import Call
from storekit.schema.ddl import render
from storekit.schema.lines import core, shipped
from tests.security.planted import USED, plant
from tests.support.postgres import MEMBERS, Database, fresh_database, write_line
from tests.support.stored_blob import store_blob, with_bucket

PLANTED = 4000
NOW = datetime(2026, 3, 4, tzinfo=UTC)
GROUPS = MEMBERS | {"storekit_reporter": ["reporter"]}


class State(StrEnum):
    OPEN = "open"
    TAKEN = "taken"
    DONE = "done"


class Memo(
    Entity,
    Mutable,
    SoftDelete,
    table="memos",
    natural_key=("name",),
    indexes=[index("-created_on"), index("due"), index("state", "created_on")],
):
    name: str
    state: Annotated[State, moves({State.OPEN: [State.TAKEN, State.DONE], State.TAKEN: [State.DONE]})] = (
        State.OPEN
    )
    due: datetime | None = None
    cost: Decimal = Decimal(0)
    weight: float = 0.5
    tags: list[str] = []
    data: dict[str, Any] = {}
    scan: Annotated[Blob | None, blob()] = None


@pytest.fixture
def database(cluster: str) -> Iterator[Database]:
    """Create a database without storekit."""
    with fresh_database(cluster) as made:
        made.ask(
            "DO $$ BEGIN IF to_regrole('reporter') IS NULL THEN CREATE ROLE reporter LOGIN; END IF; END $$"
        )
        yield made


def test_migrations_and_catalog_queries_call_nothing_planted(database: Database, tmp_path: Path) -> None:
    """Bootstrap, all shipped migrations, manage, grants, status, mirror, check and diff use no planted
    object, whatever the search path of the database is."""
    assert plant(database) > PLANTED
    admin, lines = database.url("admin"), [core(), shipped("agency")]
    applied = migrate(admin, lines)
    assert len(applied) > len(ENTITIES)
    assert migrate(admin, lines) == []
    grant(admin, GROUPS)
    assert len(status(admin, lines)) == len(applied)
    assert catalog.collections(admin)
    with connect(admin) as connection:
        assert len(mirror.read(connection)) > len(ENTITIES)
        found = [each for each in breaches(connection) if "mallory" not in each]
        assert found
        assert all(re.match(r"(function|operator) public\..* has the name of", each) for each in found)
        with as_owner(connection):
            assert set(catalog.managed(connection)) > {"sessions"}
            for entity in ENTITIES:
                assert catalog.facts(connection, entity.storekit_table.name)
            assert declared.declared(connection, BlogPost)
    with (
        psycopg.connect(database.url("mallory")) as mallory,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        mallory.execute("CREATE TABLE public.later ()")


def test_calls_of_the_sdk_call_nothing_planted(database: Database, tmp_path: Path) -> None:
    """No call of the SDK uses a planted object, whatever the search path of the login is."""
    admin = database.url("admin")
    migrate(admin, [core(), shipped("agency"), write_line(tmp_path / "own", "own", render(Memo))])
    grant(admin, GROUPS)
    assert plant(database) > PLANTED
    tenant = uuid4()
    settings = with_bucket(
        postgres_url=database.url("app"),
        postgres_admin_url=admin,
        postgres_reporter_url=database.url("reporter"),
    )
    with Store.open(settings) as store:
        assert store.check().stores[0].ok
        scope = store.scope(tenant=tenant, actor="test")
        _call_repository(database, store, tenant)
        _call_units(store, tenant)
        cursor = scope.cursor("feed")
        assert cursor.read() is None
        sessions = scope.repository(Session)
        session = sessions.save(Session(token_digest="d", user_name="x", expires_on=NOW))
        found = store.lookup(Session, "d")
        assert found is not None
        assert found.ref_id == session.ref_id
        template = store.admin(actor="admin").repository(ActivityTemplate)
        made = template.save(ActivityTemplate(name="t", agent="a", instructions="i"))
        assert template.update(made.ref_id, {"agent": "b"}).agent == "b"
        run = scope.repository(ActivityRun).save(ActivityRun(activity="a", agent="b"))
        scope.repository(LlmCall).save(
            LlmCall(run_id=run.id, model="m", input_tokens=1, output_tokens=1, cost=Decimal(1))
        )
        assert store.report("llm_costs", actor="test")


def _call_repository(database: Database, store: Store, tenant: UUID) -> None:
    memos = store.scope(tenant=tenant, actor="test").repository(Memo)
    saved = memos.save_many([Memo(name=str(n), due=NOW, tags=["a"], data={"k": {"v": 1}}) for n in range(4)])
    first = saved[0]
    memos.save(Memo(name="with a key"), idempotency_key="k")
    assert memos.save(Memo(name="with a key"), idempotency_key="k").version == 1
    store_blob(database, first, "scan")
    assert memos.url(first.ref_id, "scan")
    assert len(memos.urls([first.ref_id], "scan")) == 1
    read = memos.get(first.ref_id)
    assert (read.weight, read.scan is not None) == (0.5, True)
    assert "scan" in memos.explain(first.ref_id)
    for where in (
        None, {"name": "1"}, {"due": ge(NOW)}, {"state": "open"}, {"state": in_("open", "done")},
        {"tags": contains("a")}, {"name": prefix("1")}, {"due": is_null()}, {"weight": 0.5},
        {"cost": Decimal(0)},
    ):  # fmt: skip
        memos.find(where, limit=2)
        memos.count(where)
    page = memos.find(order_by="-created_on", limit=2)
    assert memos.find(order_by="-created_on", limit=2, after=page.next)
    page = memos.find(order_by="due", limit=2)
    assert memos.find(order_by="due", limit=2, after=page.next)
    assert memos.update(first.ref_id, {"name": "first"}).version == 3
    assert memos.update_many({first.ref_id: {"weight": 1.5}})
    assert memos.upsert([Memo(name="first", weight=2.5)])[0].ref_id == first.ref_id
    assert memos.insert_ignore([Memo(name="first"), Memo(name="new")])
    assert len(memos.claim({"state": "open"}, "taken", 1)) == 1
    assert memos.transition(saved[3].ref_id, "done").state == "done"
    assert memos.transition(saved[3].ref_id, "done").state == "done"
    memos.delete(first.ref_id)
    memos.restore(first.ref_id)
    memos.delete_many([first.ref_id])
    assert len(memos.history(first.ref_id)) >= 5


def _call_units(store: Store, tenant: UUID) -> None:
    """Units of work, whose connection has the search path of its session in between."""
    scope = store.scope(tenant=tenant, actor="test")
    with scope.transaction(idempotency_key="u") as tx:
        memo = tx.save(Memo(name="in a unit"))
        tx.flush()
        tx.connection.execute("SELECT")
        tx.save(Memo(name="after SQL"))
        tx.flush()
    assert memo.version == 1
    assert store.settings.postgres_url is not None
    with psycopg.connect(store.settings.postgres_url.get_secret_value()) as own, own.transaction():
        with scope.transaction(within=own) as tx:
            joined = tx.save(Memo(name="joined"))
        with scope.transaction(within=own) as tx:
            tx.update(Memo, joined.ref_id, {"weight": 3.5})
    assert store._assembly
    ledger = store._assembly.ledger
    for function, more in (("renew_v1", {"p_lease": timedelta(seconds=60)}), ("abandon_v1", {})):
        call = Call(function, {"p_tenant": tenant, "p_actor": "x", "p_write_id": new_id(), **more})
        assert run(ledger.pipeline(tenant, "x", [call]))


def test_what_was_planted_would_be_used(database: Database) -> None:
    """The planted objects do win in a session that uses its own search path, so these tests can fail."""
    plant(database)
    for text in (
        "SELECT lower('A')",
        "SELECT 1 = 1",
        "SELECT '1'::int8 + 1",
        "SELECT 'x'::text",
        "TABLE pg_class",
    ):
        with database.connect("app") as connection, pytest.raises(psycopg.Error, match=USED):
            connection.execute(text.encode())
