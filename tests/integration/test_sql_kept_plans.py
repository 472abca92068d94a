"""Which statements keep their plan on a large table, and which are planned anew because of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from storekit import Blob, Entity, Mutable, Settings, Store, blob, index, moves, references
from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.schema.ddl import render
from storekit.schema.lines import core
from tests.support.postgres import MEMBERS, Database, fresh_database, write_line

ROWS = 300_000
TIMES = 8
"""Counted calls of each kind."""


class State(StrEnum):
    NEW = "new"
    DONE = "done"


class Shelf(Entity, Mutable, table="shelves"):
    name: str


LISTS = [index("-created_on"), index("state", "created_on")]


class Book(Entity, Mutable, table="books", natural_key=("name",), indexes=LISTS):
    name: str
    state: Annotated[State, moves({State.NEW: [State.DONE]})] = State.NEW
    shelf_id: Annotated[UUID | None, references(Shelf)] = None
    scan: Annotated[Blob | None, blob()] = None
    back: Annotated[Blob | None, blob()] = None


@pytest.fixture
def database(cluster: str, tmp_path: Path) -> Iterator[Database]:
    """Create tables whose statistics say that they are large, which needs no rows."""
    with fresh_database(cluster) as made:
        migrate(made.url("admin"), [core(), write_line(tmp_path / "own", "own", render(Shelf, Book))])
        grant(made.url("admin"), MEMBERS)
        with _opened(made) as store:
            store.scope(tenant=uuid4(), actor="test").repository(Book).save_many(
                [Book(name=f"{n}") for n in range(20)]
            )
        made.ask("ANALYZE")
        for table in ("books", "shelves", "storekit.part", "storekit.write", "storekit.event_inbox"):
            made.ask(f"UPDATE pg_class SET reltuples = {ROWS} WHERE oid = '{table}'::regclass")
        yield made


def _opened(database: Database) -> Store:
    return Store.open(
        Settings(
            postgres_url=SecretStr(database.url("app")), pool_min=1, pool_size=1, s3_bucket="records",
            s3_endpoint_url="http://127.0.0.1:9", s3_access_key="key", s3_secret_key=SecretStr("secret"),
        )
    )  # fmt: skip


def test_plans_of_a_large_table_are_kept(database: Database) -> None:
    """Look-ups, pages whose order has one index, histories and calls of the write API are planned once for
    each connection. Statements whose best plan depends on their values are planned each time."""
    with _opened(database) as store:
        tenant = uuid4()
        scope = store.scope(tenant=tenant, actor="test")
        books = scope.repository(Book)
        saved = books.save_many([Book(name=f"{n}") for n in range(40)])
        names = iter(range(1000, 9000))
        ref_ids = iter(book.ref_id for book in saved)

        def url() -> None:
            with pytest.raises(Exception, match="scan"):
                books.url(saved[0].ref_id, "scan")

        kept: dict[str, Callable[[], Any]] = {
            "get": lambda: books.get(saved[0].ref_id),
            "url": url,
            "urls": lambda: books.urls([saved[0].ref_id, saved[1].ref_id], "scan"),
            "save": lambda: books.save(Book(name=str(next(names)))),
            "update": lambda: books.update(saved[0].ref_id, {"name": f"x{next(names)}"}),
            "transition": lambda: books.transition(next(ref_ids), "done"),
            "history": lambda: books.history(saved[0].ref_id),
            "page": lambda: books.find(order_by="-created_on", limit=5),
            "delete": lambda: books.delete(next(ref_ids)),
        }
        fresh: dict[str, Callable[[], Any]] = {
            "filter": lambda: books.find({"name": "1", "state": "new"}, order_by="-created_on", limit=5),
            "count": lambda: books.count({"state": "new"}),
            "claim": lambda: books.claim({"state": "new"}, "done", 1),
        }
        found = {name: _planned(store, tenant, call) for name, call in (kept | fresh).items()}
    assert {name: custom for name, (_, custom) in found.items() if name in kept} == dict.fromkeys(kept, 0)
    assert all(generic >= TIMES for name, (generic, _) in found.items() if name in kept)
    assert all(custom >= TIMES for name, (_, custom) in found.items() if name in fresh)


def _planned(store: Store, tenant: UUID, call: Callable[[], Any]) -> tuple[int, int]:
    """Make a call several times; return how often its SELECTs of tables used a kept plan, and a new one."""
    for _ in range(5):  # Postgres plans these anew in any case, unless it is told to keep the plan
        call()
    before = _plans(store, tenant)
    for _ in range(TIMES):
        call()
    after = _plans(store, tenant)
    changed = [(after[key], before.get(key, (0, 0))) for key in after]
    return sum(new[0] - old[0] for new, old in changed), sum(new[1] - old[1] for new, old in changed)


def _plans(store: Store, tenant: UUID) -> dict[str, tuple[int, int]]:
    """Return the numbers of kept and new plans of each prepared statement, on the only connection."""
    assert store._assembly
    ledger: Any = store._assembly.ledger
    connection = ledger.pool.take()
    try:
        result = connection.pgconn.exec_(
            b"SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
            b" WHERE statement LIKE '% FROM %' OR statement LIKE '%storekit.%_v1(%'"
        )
        rows = [
            [result.get_value(row, column).decode() for column in range(3)] for row in range(result.ntuples)
        ]
    finally:
        ledger.pool.give_back(connection)
    return {text: (int(generic), int(custom)) for text, generic, custom in rows}
