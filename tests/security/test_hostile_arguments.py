"""Idempotency keys, actors, versions, reasons and numbers are stored unchanged or refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest

from storekit import Conflict, UsageError, ValidationError
from storekit.bridge import settle
from tests.security import hostile
from tests.security.legs import Leg, Ticket, outcome, quiet

EVERYTHING = (*hostile.TEXTS, *hostile.OBJECTS)
NO_INTEGER = [each for each in EVERYTHING if type(each) is not int and each is not None]
LONG = 60_000


async def test_idempotency_keys_are_plain_text(leg: Leg) -> None:
    """Every key of 1 to 255 characters creates one record, and repeating it returns that record."""
    tickets, made = leg.tickets(), dict[str, str]()
    for key in (*leg.some(hostile.TEXTS), *hostile.OBJECTS):
        if key is None:
            continue
        got = await outcome(partial(tickets.save, Ticket(title="x"), idempotency_key=key), key)
        if isinstance(key, str) and hostile.storable(key) and 1 <= len(key) <= 255:
            made[key] = got.ref_id
        else:
            assert isinstance(got, ValidationError), f"{key!r:.100}: {got!r:.100}"
    assert len(set(made.values())) == len(made) > 100
    for key, ref_id in made.items():
        again = await outcome(partial(tickets.save, Ticket(title="x"), idempotency_key=key), key)
        assert again.ref_id == ref_id, f"{key!r:.100}"


async def test_actors_are_plain_text(leg: Leg) -> None:
    """The record and its events contain the actor exactly as it was given."""
    for actor in (*leg.some(hostile.TEXTS), *hostile.OBJECTS):
        if not (isinstance(actor, str) and actor.strip() and hostile.storable(actor) and len(actor) <= 255):
            with pytest.raises((UsageError, ValidationError)):
                leg.tickets(actor=actor)
            continue
        tickets = leg.tickets(actor=actor)
        saved = await outcome(partial(tickets.save, Ticket(title="x")), actor)
        (event,) = await settle(tickets.history(saved.ref_id))
        assert (event.by, saved.created_by) == (actor, actor), f"{actor!r:.100}"


async def test_reasons_are_plain_text(leg: Leg) -> None:
    """The record's history contains the reason of a transition exactly as it was given."""
    tickets, given = leg.tickets(), list[Any]()
    record = await settle(tickets.save(Ticket(title="x")))
    for reason in (*leg.some(hostile.TEXTS), *hostile.OBJECTS):
        to = "running" if len(given) % 2 else "done"
        got = await outcome(partial(tickets.transition, record.ref_id, to, reason=reason), reason)
        if isinstance(reason, str | None) and hostile.storable(reason or "") and len(reason or "") <= 4000:
            given.append(reason or None)
            assert got.stage == to, f"{reason!r:.100}"
        else:
            assert isinstance(got, UsageError | ValidationError), f"{reason!r:.100}: {got!r:.100}"
    reasons = [event.reason for event in await settle(tickets.history(record.ref_id))]
    assert reasons[1:] == given


BY_VERSION: dict[str, Callable[[Any, str, Any], Any]] = {
    "update": lambda tickets, ref_id, given: tickets.update(ref_id, {"title": "y"}, expected_version=given),
    "update a document": lambda tickets, ref_id, given: tickets.update(
        ref_id, {"payload": {"a": 1}}, expected_version=given
    ),
    "delete": lambda tickets, ref_id, given: tickets.delete(ref_id, expected_version=given),
    "transition": lambda tickets, ref_id, given: tickets.transition(ref_id, "done", expected_version=given),
}


async def test_update_refuses_invalid_versions(leg: Leg) -> None:
    """expected_version must be an integer; a wrong integer raises Conflict, any other value is not sent."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    with quiet():
        for (how, call), given in product(BY_VERSION.items(), leg.some(NO_INTEGER)):
            got = await outcome(partial(call, tickets, record.ref_id, given), given)
            assert isinstance(got, ValidationError), f"{how}: {given!r:.100}: {got!r:.100}"
    for call, given in product(BY_VERSION.values(), (0, -1, 2, 2**63 - 1, 2**63, 2**70)):
        got = await outcome(partial(call, tickets, record.ref_id, given), given)
        assert isinstance(got, ValidationError if given >= 2**63 else Conflict), (
            f"{given!r:.100}: {got!r:.100}"
        )
    assert (await settle(tickets.get(record.ref_id))).version == 1


async def test_save_refuses_invalid_versions(leg: Leg) -> None:
    """save validates `expected_version` as `update` does."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    record.title = "y"
    with quiet():
        for given in leg.some(NO_INTEGER):
            got = await outcome(partial(tickets.save, record, expected_version=given), given)
            assert isinstance(got, UsageError | ValidationError), f"{given!r:.100}: {got!r:.100}"


NUMBERS: dict[str, Callable[[Any, str, Any], Any]] = {
    "limit": lambda tickets, ref_id, given: tickets.history(ref_id, limit=given),
    "expires_in": lambda tickets, ref_id, given: tickets.url(ref_id, "file", expires_in=given),
    "expires_in of many": lambda tickets, ref_id, given: tickets.urls([ref_id], "file", expires_in=given),
}


async def test_invalid_numbers_are_refused(leg: Leg) -> None:
    """Counts and seconds must be integers within their limits; any other value is not sent."""
    tickets = leg.tickets()
    with quiet():
        numbers = (*leg.some(NO_INTEGER), None, 0, -1, 2**63, 2**70)
        for (what, call), given in product(NUMBERS.items(), numbers):
            got = await outcome(partial(call, tickets, leg.theirs, given), given)
            assert isinstance(got, UsageError), f"{what}: {given!r:.100}: {got!r:.100}"
