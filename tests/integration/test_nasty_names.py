"""Columns and defaults with the names and text of the surrounding SQL, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from storekit import Entity, Mutable, Settings, SoftDelete, Store, document
from storekit.schema.ddl import render
from tests.support.postgres import Database, sample_database

WORDS = [
    *(
        "tg_argv",
        "tg_op",
        "tg_name",
        "tg_table_name",
        "new",
        "old",
        "found",
        "sqlstate",
        "new_rows",
        "old_rows",
    ),
    *("p_op", "p_rows", "p_refs", "p_columns", "p_ref_ids", "v_rows", "v_done", "v_dropped", "done"),
    *("t", "r", "d", "e", "p", "w", "c", "g", "i", "a", "wanted", "entity", "type", "key", "value", "field"),
    *("before", "after", "actor", "image", "pair", "change", "recorded", "gone", "order", "user", "doc_part"),
]
TRAP = "$body$ $writer$ $change$ $1 %s %I ' \\ ; --"


class Nasty(Entity, Mutable, SoftDelete, table="nasty"):
    tg_argv: str
    tg_op: str
    tg_name: str
    tg_table_name: str
    new: str
    old: str
    found: str
    sqlstate: str
    new_rows: str
    old_rows: str
    p_op: str
    p_rows: str
    p_refs: str
    p_columns: str
    p_ref_ids: str
    v_rows: str
    v_done: str
    v_dropped: str
    done: str
    t: str
    r: str
    d: str
    e: str
    p: str
    w: str
    c: str
    g: str
    i: str
    a: str
    wanted: str
    entity: str
    type: str
    key: str
    value: str
    field: str
    before: str
    after: str
    actor: str
    image: str
    pair: str
    change: str
    recorded: str
    gone: str
    order: str
    user: str
    doc_part: str
    trap: str = TRAP
    doc: Annotated[dict[str, Any] | None, document(collection="nasty")] = None


class Removed(Entity, Mutable, table="removed"):
    tg_argv: str
    old: str = TRAP
    doc: Annotated[dict[str, Any] | None, document(collection="nasty")] = None


def _made(number: int) -> Nasty:
    values: dict[str, Any] = {word: f"{number} {word}" for word in WORDS}
    return Nasty(**values)


@pytest.fixture(scope="module")
def nasty(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Create a database with the rendered tables of these classes."""
    text = f"{render(Nasty)}\n{render(Removed)}"
    with sample_database(cluster, tmp_path_factory.mktemp("lines"), text) as made:
        yield made


@pytest.fixture
def store(nasty: Database) -> Iterator[Store]:
    with Store(Settings(postgres_url=SecretStr(nasty.url("app")))) as opened:
        yield opened


def test_columns_can_have_names_of_sql_variables(store: Store) -> None:
    """A record with any name that a class may declare can be saved, read, updated and deleted."""
    records = store.scope(tenant=uuid4(), actor="t").repository(Nasty)
    made = records.save_many([_made(n) for n in range(2)])
    for n, each in enumerate(made):
        found = records.get(each.ref_id)
        assert {word: getattr(found, word) for word in WORDS} == {word: f"{n} {word}" for word in WORDS}
        assert found.trap == TRAP
    changed = records.update(made[0].ref_id, {word: word.upper() for word in WORDS})
    assert [getattr(changed, word) for word in WORDS] == [word.upper() for word in WORDS]
    records.delete(made[0].ref_id)
    assert records.get(made[1].ref_id) == records.get(made[1].ref_id)


def test_a_batch_is_read_with_any_column_names(store: Store) -> None:
    """The look-up of many rows, which a replay uses, finds each of them."""
    records = store.scope(tenant=uuid4(), actor="t").repository(Nasty)
    first, again = (records.save_many([_made(n) for n in range(2)], idempotency_key="k") for _ in range(2))
    assert [each.ref_id for each in again] == [each.ref_id for each in first]
    assert [each.wanted for each in again] == ["0 wanted", "1 wanted"]


def test_a_row_is_deleted_with_any_column_names(store: Store, nasty: Database) -> None:
    """A hard delete from a table with a column named tg_argv records an event."""
    records = store.scope(tenant=uuid4(), actor="t").repository(Removed)
    made = records.save(Removed(tg_argv="x"))
    records.delete(made.ref_id)
    kinds = nasty.ask("SELECT type FROM storekit.event WHERE ref_id = %s ORDER BY version", made.ref_id)
    assert kinds == [("removed.created",), ("removed.deleted",)]


def test_a_default_can_contain_any_text(nasty: Database) -> None:
    """A hand-written INSERT gets the declared default, even if it is full of quotes."""
    ref_id = nasty.ask("INSERT INTO removed (tenant_id, tg_argv) VALUES (%s, 'x') RETURNING ref_id", uuid4())[
        0
    ][0]
    assert nasty.ask("SELECT old FROM removed WHERE ref_id = %s", ref_id) == [(TRAP,)]


def test_a_ref_id_in_the_table_is_a_ulid(nasty: Database) -> None:
    """The table refuses a ref_id that is not a ULID."""
    with pytest.raises(psycopg.errors.CheckViolation, match="ref_id"):
        nasty.ask("INSERT INTO removed (tenant_id, tg_argv, ref_id) VALUES (%s, 'x', 'mine')", uuid4())
