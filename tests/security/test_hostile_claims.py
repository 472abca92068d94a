"""Claims and transitions in a unit: input is data or refused, and no other tenant is touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Conflict, NotFound, UsageError, ValidationError
from storekit.bridge import settle
from storekit.drivers.postgres.queries import claims
from storekit.ids import new_id
from storekit.model.find.orders import order_of
from storekit.model.find.query import conditions_of
from storekit.ports.statements import Claim, Origin, Search
from tests.security import hostile
from tests.security.isolation_tables import MINE, NIL, THEIRS
from tests.security.legs import Leg, Ticket, outcome, quiet, state
from tests.support.postgres import Database

EVERYTHING = (*hostile.TEXTS, *hostile.OBJECTS)
NO_INTEGER = [each for each in EVERYTHING if type(each) is not int and each is not None]
REFUSED = (ValidationError, UsageError)
LONG = 60_000
QUEUED = {"stage": "running"}
COLUMNS = {name for name, _ in Ticket.storekit_table.types} - {"tenant_id"}

CLAIMS: dict[str, Callable[[Any, Any], Any]] = {
    "to": lambda tickets, given: tickets.claim(QUEUED, given),
    "where": lambda tickets, given: tickets.claim(given, "done"),
    "state": lambda tickets, given: tickets.claim({"stage": given}, "done"),
    "uid": lambda tickets, given: tickets.claim({**QUEUED, "uid": given}, "done"),
    "order": lambda tickets, given: tickets.claim(QUEUED, "done", order_by=given),
    "orders": lambda tickets, given: tickets.claim(QUEUED, "done", order_by=[given]),
    "limit": lambda tickets, given: tickets.claim(QUEUED, "done", given),
    "lease": lambda tickets, given: tickets.claim(QUEUED, "done", lease=given),
    "duration": lambda tickets, given: tickets.claim(QUEUED, "done", lease={"moment": given}),
}
"""Arguments of `claim` for which every hostile value is refused, except those of `FINE`."""
FINE: dict[str, Callable[[Any], bool]] = {
    "limit": lambda given: type(given) is int and 1 <= given <= 1000,
    "uid": lambda given: given is None or (isinstance(given, str) and _is_uuid(given)),
    "order": lambda given: given is None or given in ("created_on", "-created_on", "ref_id", "-ref_id"),
    "orders": lambda given: given in ("created_on", "-created_on"),
    "lease": lambda given: given is None,
}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


async def in_unit(leg: Leg, plan: Callable[[Any], Any]) -> None:
    """Plan something in a unit of work, and commit it."""
    tx: Any = leg.store.scope(tenant=MINE, actor="user:mallory").transaction()
    if isinstance(leg.store, AsyncStore):
        async with tx:
            plan(tx)
    else:
        with tx:
            plan(tx)


@pytest.mark.parametrize("what", CLAIMS)
async def test_claim_refuses_hostile_arguments(leg: Leg, what: str) -> None:
    """claim refuses every hostile value of its arguments with a typed error, and nothing is sent."""
    tickets = leg.tickets(tenant=uuid4())
    for given in leg.some(EVERYTHING):
        if FINE.get(what, lambda _: False)(given):
            continue
        with quiet():
            got = await outcome(partial(CLAIMS[what], tickets, given), given)
        assert isinstance(got, REFUSED), f"{what}: {given!r:.100}: {got!r:.100}"


async def test_claim_filters_must_be_columns(leg: Leg) -> None:
    """A filter or a lease of claim on an unknown column is refused, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for name in leg.some(EVERYTHING):
            if name in COLUMNS if isinstance(name, str) else name.__hash__ is None:
                continue
            for call in (
                partial(tickets.claim, {**QUEUED, name: "x"}, "done"),
                partial(tickets.claim, QUEUED, "done", lease={name: timedelta(minutes=1)}),
            ):
                got = await outcome(call, name)
                assert isinstance(got, REFUSED), f"{name!r:.100}: {got!r:.100}"


async def test_claim_takes_equal_texts_only(leg: Leg) -> None:
    """Every storable text claims its own record, and no other one; the reason is stored as it is."""
    tickets = leg.tickets(tenant=uuid4())
    texts = leg.some([text for text in hostile.TEXTS if hostile.storable(text) and len(text) < 4000])[::4]
    saved = await settle(tickets.save_many([Ticket(title=text) for text in texts]))
    for text, record in zip(texts, saved, strict=True):
        call = partial(tickets.claim, {**QUEUED, "title": text}, "done", 9, reason=text or None)
        taken = await outcome(call, text)
        assert [each.ref_id for each in taken] == [record.ref_id], f"{text!r:.100}"
        assert (await settle(tickets.history(record.ref_id)))[-1].reason == (text or None)
    unstorable = [text for text in hostile.TEXTS if not hostile.storable(text)]
    with quiet():
        for given in (*unstorable, *(each for each in hostile.OBJECTS if each is not None)):
            got = await outcome(partial(tickets.claim, QUEUED, "done", reason=given), given)
            assert isinstance(got, REFUSED), f"{given!r:.100}: {got!r:.100}"


async def test_a_claim_takes_no_record_of_another_tenant(leg: Leg) -> None:
    """A claim returns records of its own tenant only, whatever its filters name."""
    tickets = leg.tickets()
    await settle(tickets.save(Ticket(title="mine")))
    for where in (QUEUED, {**QUEUED, "ref_id": leg.theirs}, {**QUEUED, "title": "theirs"}):
        taken = await settle(tickets.claim(where, "done", 1000, lease={"moment": timedelta(minutes=1)}))
        assert leg.theirs not in {each.ref_id for each in taken}
        assert all(each.tenant_id == MINE for each in taken)


UNIT: dict[str, Callable[[Any, Any], Any]] = {
    "ref_id": lambda tx, given: tx.transition(Ticket, given, "done"),
    "class": lambda tx, given: tx.transition(given, "0" * 26, "done"),
    "to": lambda tx, given: tx.transition(Ticket, "0" * 26, given),
}


@pytest.mark.parametrize("what", UNIT)
async def test_a_transition_in_a_unit_refuses_hostile_arguments(leg: Leg, what: str) -> None:
    """tx.transition refuses every hostile ref_id, class and state, and nothing is sent."""
    with quiet():
        for given in leg.some(EVERYTHING):
            got = await outcome(partial(in_unit, leg, partial(_plan, what, given)), given)
            assert isinstance(got, REFUSED), f"{what}: {given!r:.100}: {got!r:.100}"


def _plan(what: str, given: Any, tx: Any) -> Any:
    return UNIT[what](tx, given)


async def test_a_transition_in_a_unit_refuses_invalid_versions_and_reasons(leg: Leg) -> None:
    """expected_version of tx.transition must be an int; a wrong one raises Conflict. A reason is a text."""
    record = await settle(leg.tickets().save(Ticket(title="x")))

    def move(tx: Any, **more: Any) -> None:
        tx.transition(Ticket, record.ref_id, "done", **more)

    with quiet():
        for given in leg.some(NO_INTEGER):
            got = await outcome(partial(in_unit, leg, partial(move, expected_version=given)), given)
            assert isinstance(got, ValidationError), f"{given!r:.100}: {got!r:.100}"
        for reason in leg.some([*hostile.OBJECTS, *hostile.FAMILIES["unstorable"]]):
            if reason is not None:
                got = await outcome(partial(in_unit, leg, partial(move, reason=reason)), reason)
                assert isinstance(got, REFUSED), f"{reason!r:.100}: {got!r:.100}"
    got = await outcome(partial(in_unit, leg, partial(move, expected_version=7)), 7)
    assert isinstance(got, Conflict)


async def test_a_transition_in_a_unit_finds_no_record_of_another_tenant(leg: Leg) -> None:
    """tx.transition, tx.update and tx.delete raise NotFound for the ref_id of another tenant's record."""
    plans: list[Callable[[Any], Any]] = [
        lambda tx: tx.transition(Ticket, leg.theirs, "done"),
        lambda tx: tx.update(Ticket, leg.theirs, {"title": "x"}),
        lambda tx: tx.delete(Ticket, leg.theirs),
    ]
    for plan in plans:
        assert isinstance(await outcome(partial(in_unit, leg, plan), leg.theirs), NotFound)


@pytest.mark.parametrize("scope", [MINE, NIL, None], ids=["mine", "nil", "unset"])
def test_the_statement_of_a_claim_for_another_tenant(hostile_postgres: Database, scope: UUID | None) -> None:
    """The statement of a claim that names another tenant than the transaction changes no row of it."""
    conditions = conditions_of(Ticket, QUEUED, deleted=False)
    order = order_of(Ticket, None, conditions).columns
    queue = Search("tickets", (), (), conditions, order, 1000)
    statement = Claim("tickets", Origin("user:mallory"), new_id(), (queue,), {"stage": "done"}, 1000)
    text, values = claims.claim(statement, THEIRS)
    with hostile_postgres.connect("postgres") as watching, hostile_postgres.connect("app") as app:
        before = state(watching)
        watching.rollback()
        if scope is not None:
            app.execute("SELECT set_config('storekit.tenant', %s, true)", [str(scope)])
        assert app.pgconn.exec_params(text.encode(), values).ntuples == 0  # no row, or an error
        app.rollback()
        assert state(watching) == before
