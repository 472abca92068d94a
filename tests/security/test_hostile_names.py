"""Whatever a caller passes as a name: a typed error before anything is sent, or no more than a name."""

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
from tests.security.legs import ApiKey, Leg, Ticket, answer, quiet, state
from tests.support.adapters import read_opened
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


def test_the_corpus_is_not_small(report: Callable[[str], None]) -> None:
    """There are more than 500 texts, no two alike, and objects of every kind that JSON and Python have."""
    assert len(set(hostile.TEXTS)) == len(hostile.TEXTS) > 500
    assert {type(each) for each in hostile.OBJECTS} >= {dict, list, tuple, set, bytes, int, float, bool}
    report(f"{len(hostile.TEXTS)} hostile texts and {len(hostile.OBJECTS)} objects for every name and value")


HARM = (
    "DELETE FROM canary",
    "UPDATE canary SET text = 'x'",
    "ALTER TABLE canary RENAME TO bird; CREATE TABLE canary (text text)",
    "INSERT INTO tickets (tenant_id, title) VALUES ('00000000-0000-000b-0000-000000000000', 'x')",
    "ALTER ROLE app SUPERUSER",
    "ALTER ROLE app SET storekit.tenant = '00000000-0000-000b-0000-000000000000'",
    "CREATE FUNCTION public.now() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE POLICY broken ON tickets USING (true)",
    "GRANT ALL ON tickets TO PUBLIC",
)


@pytest.mark.parametrize("statement", HARM)
def test_a_statement_that_ran_would_be_noticed(hostile_postgres: Database, statement: str) -> None:
    """What every case on servers ends with sees each kind of harm."""
    with hostile_postgres.connect("postgres") as connection, connection.transaction(force_rollback=True):
        before = state(connection)
        connection.execute(statement.encode())
        assert state(connection) != before


async def test_what_is_no_ref_id_goes_nowhere(leg: Leg) -> None:
    """Every method that takes a ref_id refuses what is none, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for (how, call), given in product(BY_REF_ID.items(), EVERYTHING):
            got = await answer(partial(call, tickets, given), given)
            assert isinstance(got, UsageError | ValidationError), f"{how}: {given!r:.100}: {got!r:.100}"


async def test_what_is_no_field_goes_nowhere(leg: Leg) -> None:
    """Every method that takes a field's name refuses what is none, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for (how, call), given in product(BY_FIELD.items(), EVERYTHING):
            got = await answer(partial(call, tickets, leg.theirs, given), given)
            assert isinstance(got, UsageError), f"{how}: {given!r:.100}: {got!r:.100}"


async def test_what_is_no_field_cannot_be_updated(leg: Leg) -> None:
    """update refuses keys that are no field of the class, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for given in EVERYTHING:
            if given.__hash__ is None:
                continue
            got = await answer(partial(tickets.update, leg.theirs, {given: "x"}), given)
            assert isinstance(got, ValidationError), f"{given!r:.100}: {got!r:.100}"


async def test_every_name_of_another_tenants_record_is_unknown(leg: Leg) -> None:
    """With the ref_id of another tenant's record every method says that there is none."""
    for how, call in BY_REF_ID.items():
        got = await answer(partial(call, leg.tickets(), leg.theirs), how)
        assert isinstance(got, NotFound) or got == {}, how


async def test_what_is_no_tenant_has_no_scope(leg: Leg) -> None:
    """A tenant is a UUID; whatever else is given, there is no scope."""
    for given in EVERYTHING:
        try:
            leg.store.scope(tenant=given, actor="x")
        except TenantRequired:
            continue
        assert str(UUID(given)) in str(given)  # a UUID in braces or as a URN is one


async def test_what_is_no_state_is_refused(leg: Leg) -> None:
    """transition takes states of the machine alone, and nothing is sent for others."""
    tickets = leg.tickets()
    with quiet():
        for given in EVERYTHING:
            got = await answer(partial(tickets.transition, leg.theirs, given), given)
            assert isinstance(got, ValidationError), f"{given!r:.100}: {got!r:.100}"


async def test_a_lookup_finds_what_is_equal_and_nothing_else(leg: Leg) -> None:
    """A value that was stored finds its record; any other text finds nothing or is refused."""
    keys, texts = leg.of(ApiKey), [text for text in hostile.TEXTS if text and hostile.storable(text)]
    for given in (*texts[:60], *hostile.TEXTS[-80:], *hostile.OBJECTS):
        got = await answer(partial(leg.store.lookup, ApiKey, given), given)
        assert got is None or isinstance(got, UsageError | ValidationError), f"{given!r:.100}: {got!r:.100}"
    short = leg.some([text for text in texts if len(text) < 2000])  # what an index entry takes
    saved = await answer(partial(keys.save_many, [ApiKey(digest=text) for text in short]), "texts")
    for record in saved:
        found = await answer(partial(leg.store.lookup, ApiKey, record.digest), record.digest)
        assert found.ref_id == record.ref_id
    for record in saved:
        await answer(partial(keys.delete, record.ref_id), record)


async def test_what_is_no_report_is_refused(leg: Leg) -> None:
    """A report is named by its view; whatever else is given reads nothing."""
    for given in EVERYTHING:
        got = await answer(partial(leg.store.report, given, actor="user:cfo"), given)
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
}  # Python itself takes nothing else there
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
def test_a_declaration_takes_names_and_nothing_else(what: str) -> None:
    """A name in a class is a-z, 0-9 and _, or it is refused with UsageError when the class is made."""
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
