"""Hostile names are refused with a typed error before anything is sent, or are used as names only."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Annotated, Any
from uuid import UUID

import pytest

from storekit import (
    Blob,
    Entity,
    Mutable,
    NotFound,
    TenantRequired,
    UsageError,
    ValidationError,
    blob,
    document,
    references,
)  # fmt: skip
from storekit.model.declare.entity import require_table
from storekit.model.table.indexes import index
from tests.security import hostile
from tests.security.legs import Leg, Ticket, outcome, quiet, state
from tests.support.adapters import read_opened
from tests.support.entities import Login
from tests.support.postgres import Database

EVERYTHING = (*hostile.TEXTS, *hostile.OBJECTS)
BY_REF_ID: dict[str, Callable[[Any, Any], Any]] = {
    "get": lambda tickets, given: tickets.get(given),
    "get with a document": lambda tickets, given: tickets.get(given, load=["payload"]),
    "read": lambda tickets, given: tickets.read(given, "file"),
    "open": lambda tickets, given: read_opened(tickets.open(given, "file")),
    "url": lambda tickets, given: tickets.url(given, "file"),
    "urls": lambda tickets, given: tickets.urls([given], "file"),
    "update": lambda tickets, given: tickets.update(given, {"title": "x"}),
    "update a document": lambda tickets, given: tickets.update(given, {"payload": {"a": 1}}),
    "delete": lambda tickets, given: tickets.delete(given),
    "transition": lambda tickets, given: tickets.transition(given, "done"),
    "history": lambda tickets, given: tickets.history(given),
    "explain": lambda tickets, given: tickets.explain(given),
}
BY_FIELD: dict[str, Callable[[Any, str, Any], Any]] = {
    "load": lambda tickets, ref_id, given: tickets.get(ref_id, load=[given]),
    "read": lambda tickets, ref_id, given: tickets.read(ref_id, given),
    "open": lambda tickets, ref_id, given: read_opened(tickets.open(ref_id, given)),
    "url": lambda tickets, ref_id, given: tickets.url(ref_id, given),
    "urls": lambda tickets, ref_id, given: tickets.urls([ref_id], given),
}


def test_corpus_size(report: Callable[[str], None]) -> None:
    """The corpus has more than 500 distinct texts, and objects of every kind that JSON and Python have."""
    assert len(set(hostile.TEXTS)) == len(hostile.TEXTS) > 500
    assert {type(each) for each in hostile.OBJECTS} >= {dict, list, tuple, set, bytes, int, float, bool}
    report(f"{len(hostile.TEXTS)} hostile texts and {len(hostile.OBJECTS)} objects for every name and value")


HARM = (
    "DELETE FROM sentinel",
    "UPDATE sentinel SET text = 'x'",
    "ALTER TABLE sentinel RENAME TO other; CREATE TABLE sentinel (text text)",
    "INSERT INTO tickets (tenant_id, title) VALUES ('00000000-0000-000b-0000-000000000000', 'x')",
    "ALTER ROLE app SUPERUSER",
    "ALTER ROLE app SET storekit.tenant = '00000000-0000-000b-0000-000000000000'",
    "CREATE FUNCTION public.now() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE POLICY broken ON tickets USING (true)",
    "GRANT ALL ON tickets TO PUBLIC",
)


@pytest.mark.parametrize("statement", HARM)
def test_the_final_check_detects_harm(hostile_postgres: Database, statement: str) -> None:
    """The check that ends every case on servers detects each kind of harm."""
    with hostile_postgres.connect("postgres") as connection, connection.transaction(force_rollback=True):
        before = state(connection)
        connection.execute(statement.encode())
        assert state(connection) != before


async def test_invalid_ref_ids_are_refused(leg: Leg) -> None:
    """Every method with a ref_id argument refuses an invalid one, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for (how, call), given in product(BY_REF_ID.items(), leg.some(EVERYTHING)):
            got = await outcome(partial(call, tickets, given), given)
            assert isinstance(got, UsageError | ValidationError), f"{how}: {given!r:.100}: {got!r:.100}"


async def test_unknown_fields_are_refused(leg: Leg) -> None:
    """Every method with a field argument refuses an unknown field, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for (how, call), given in product(BY_FIELD.items(), leg.some(EVERYTHING)):
            got = await outcome(partial(call, tickets, leg.theirs, given), given)
            assert isinstance(got, UsageError), f"{how}: {given!r:.100}: {got!r:.100}"


async def test_update_refuses_unknown_fields(leg: Leg) -> None:
    """update refuses keys that are not fields of the class, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for given in leg.some(EVERYTHING):
            if given.__hash__ is None:
                continue
            got = await outcome(partial(tickets.update, leg.theirs, {given: "x"}), given)
            assert isinstance(got, ValidationError), f"{given!r:.100}: {got!r:.100}"


async def test_ref_ids_of_another_tenant_are_not_found(leg: Leg) -> None:
    """Every method raises NotFound for the ref_id of another tenant's record."""
    for how, call in BY_REF_ID.items():
        got = await outcome(partial(call, leg.tickets(), leg.theirs), how)
        assert isinstance(got, NotFound) or got == {}, how


async def test_a_tenant_must_be_a_uuid(leg: Leg) -> None:
    """A tenant must be a UUID; any other value is refused."""
    for given in leg.some(EVERYTHING):
        try:
            leg.store.scope(tenant=given, actor="x")
        except TenantRequired:
            continue
        assert str(UUID(given)) in str(given)  # UUID() accepts braces and URNs


async def test_transition_refuses_unknown_states(leg: Leg) -> None:
    """transition accepts only states of the machine, and sends nothing for other values."""
    tickets = leg.tickets()
    with quiet():
        for given in leg.some(EVERYTHING):
            got = await outcome(partial(tickets.transition, leg.theirs, given), given)
            assert isinstance(got, ValidationError), f"{given!r:.100}: {got!r:.100}"


async def test_lookup_finds_equal_values_only(leg: Leg) -> None:
    """A stored value finds its record; any other text finds nothing or is refused."""
    keys, texts = leg.of(Login), [text for text in hostile.TEXTS if text and hostile.storable(text)]
    for given in (*texts[:60], *hostile.TEXTS[-80:], *hostile.OBJECTS):
        got = await outcome(partial(leg.store.lookup, Login, given), given)
        assert got is None or isinstance(got, UsageError | ValidationError), f"{given!r:.100}: {got!r:.100}"
    short = leg.some([text for text in texts if len(text) < 2000])  # an index entry has a maximum size
    saved = await outcome(partial(keys.save_many, [Login(digest=text) for text in short]), "texts")
    for record in saved:
        found = await outcome(partial(leg.store.lookup, Login, record.digest), record.digest)
        assert found.ref_id == record.ref_id
    for record in saved:
        await outcome(partial(keys.delete, record.ref_id), record)


async def test_unknown_reports_are_refused(leg: Leg) -> None:
    """A report must be the name of a view; any other value reads nothing."""
    for given in leg.some(EVERYTHING):
        got = await outcome(partial(leg.store.report, given, actor="user:cfo"), given)
        assert isinstance(got, UsageError | ValidationError), f"{given!r:.100}: {got!r:.100}"


DECLARATIONS: dict[str, Callable[[Any], Any]] = {
    "table": lambda given: _table_of(table=given),
    "a table's schema": lambda given: _table_of(table=f"{given}.tickets"),
    "column": lambda given: _table_of({given: str}),
    "document field": lambda given: _table_of({given: Annotated[dict[str, Any], document(collection="c")]}),
    "collection": lambda given: _table_of({"doc": Annotated[dict[str, Any], document(collection=given)]}),
    "link": lambda given: _table_of(
        {"doc": Annotated[dict[str, Any], document(collection="c", links=(given,))]}
    ),
    "reference": lambda given: _table_of({"other_id": Annotated[UUID, references(given)]}),
    "on_delete": lambda given: _table_of({"other_id": Annotated[UUID, references(Ticket, on_delete=given)]}),
    "media type": lambda given: _table_of({"file": Annotated[Blob | None, blob(media_type=given)]}),
    "index": lambda given: _table_of({"name": str}, indexes=[index(given)]),
    "index condition": lambda given: _table_of({"name": str}, indexes=[index("name", where={given: "x"})]),
    "natural key": lambda given: _table_of({"name": str}, natural_key=(given,)),
    "scope": lambda given: _table_of({"name": str}, scope=given),
}


ONLY_TEXTS = {
    "a table's schema",
    "column",
    "document field",
    "index condition",
}  # Python itself accepts nothing else there
NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
QUALIFIED = re.compile(rf"({NAME.pattern}\.)?{NAME.pattern}")
HARMLESS = dict.fromkeys(DECLARATIONS, NAME) | {
    "table": QUALIFIED,
    "reference": QUALIFIED,
    "media type": re.compile(r"[\w.+-]+/[\w.+-]+(\s*;[^\r\n\0]*)?", re.ASCII),
}


def _table_of(fields: dict[Any, Any] | None = None, *, table: Any = "made", **more: Any) -> Any:
    namespace = {"__annotations__": fields or {"name": str}, "__module__": __name__}
    return require_table(type("Made", (Entity, Mutable), namespace, table=table, **more))


@pytest.mark.parametrize("what", DECLARATIONS)
def test_declared_names_are_restricted(what: str) -> None:
    """Names in a class must consist of a-z, 0-9 and _; others raise UsageError at declaration."""
    taken, names = [], set[str]()
    for given in EVERYTHING if what not in ONLY_TEXTS else hostile.TEXTS:
        try:
            table = DECLARATIONS[what](given)
        except UsageError:
            continue
        except Exception as error:
            error.add_note(f"given {given!r:.200}")
            raise
        taken.append(given)
        names |= {*table.name.split("."), *table.columns, *table.parts}
    assert [name for name in names if not NAME.fullmatch(name)] == []
    if what not in ONLY_TEXTS:
        assert [
            each for each in taken if not isinstance(each, str) or not HARMLESS[what].fullmatch(each)
        ] == []
