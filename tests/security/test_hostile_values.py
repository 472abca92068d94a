"""Hostile values are stored unchanged, or refused with a typed error that says why."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

from storekit import ValidationError
from storekit.bridge import settle
from tests.security import hostile
from tests.security.legs import Leg, Ticket, outcome, quiet
from tests.support.entities import Address

EVERYTHING = (*hostile.TEXTS, *hostile.OBJECTS)
STORABLE = [text for text in hostile.TEXTS if hostile.storable(text)]
UNSTORABLE = [text for text in hostile.TEXTS if not hostile.storable(text)]
LONG = 60_000
TYPED = ("status", "number", "real", "money", "flag", "uid", "moment", "day", "numbers", "reals")


def is_key(text: str) -> bool:
    """Return whether a document accepts a text as a key."""
    return bool(text) and "." not in text and not text.startswith("$")


def ticket(text: str) -> Ticket:
    """Return a ticket with the text in every field; a very long text only once for each store."""
    if len(text) >= LONG:
        return Ticket(title=text, payload={"value": text})
    return Ticket(
        title=text,
        texts=[text, text],
        tree={text: [text, {text: text}]},
        address=Address(street=text, floors={text: 1}),
        payload={"value": text, "list": [text], "inner": {"a": {text if is_key(text) else "b": text}}},
    )


def facts(record: Ticket) -> tuple[Any, ...]:
    return record.title, record.texts, record.tree, record.address, record.payload


async def test_texts_round_trip(leg: Leg) -> None:
    """Every storable text is read back unchanged from columns, arrays, JSON and documents."""
    tickets = leg.tickets()
    texts = leg.some(STORABLE)
    saved = await settle(tickets.save_many([ticket(text) for text in texts]))
    for text, record in zip(texts, saved, strict=True):
        found = await outcome(partial(tickets.get, record.ref_id, load=["payload"]), text)
        assert facts(found) == facts(ticket(text)), f"{text!r:.100}"


async def test_texts_round_trip_through_update(leg: Leg) -> None:
    """Every storable text is returned by update and by the record's history unchanged."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    wanted = leg.some([text for text in STORABLE if len(text) < LONG])
    for text in wanted:
        given = {"title": text, "tree": {text: text}, "texts": [text]}
        found = await outcome(partial(tickets.update, record.ref_id, given), text)
        assert (found.title, found.tree, found.texts) == (text, {text: text}, [text])
    titles = [event.after["title"] for event in (await settle(tickets.history(record.ref_id)))[1:]]
    assert titles == wanted


async def test_unstorable_texts_are_refused(leg: Leg) -> None:
    """U+0000 and lone surrogates raise ValidationError in every field, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for text in UNSTORABLE:
            for given in (
                {"title": text}, {"texts": ["a", text]}, {"tree": {text: 1}}, {"tree": {"a": [{"b": text}]}},
                {"address": {"street": text}}, {"payload": {text: 1}}, {"payload": {"a": [text]}},
            ):  # fmt: skip
                got = await outcome(partial(tickets.update, leg.theirs, given), given)
                assert isinstance(got, ValidationError), f"{given!r:.100}: {got!r:.100}"


async def test_operator_keys_are_refused_or_stored_as_data(leg: Leg) -> None:
    """A document refuses keys that MongoDB could interpret; a JSON column stores any key."""
    tickets = leg.tickets()
    texts = [text for text in STORABLE if not is_key(text) and len(text) < LONG]
    with quiet():
        for text in texts:
            for body in ({text: 1}, {"a": [{text: None}]}):
                got = await outcome(partial(tickets.save, Ticket(title="x", payload=body)), body)
                assert isinstance(got, ValidationError), f"{body!r:.100}: {got!r:.100}"
    saved = await settle(tickets.save(Ticket(title="x", tree={text: {text: None} for text in texts})))
    assert (await settle(tickets.get(saved.ref_id))).tree == {text: {text: None} for text in texts}


async def test_operator_objects_are_refused_or_stored_as_data(leg: Leg) -> None:
    """An operator object is never executed: a field refuses it or stores it unchanged."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    for field, given in product(("title", "texts", "tree", "address", "payload", "file"), hostile.OBJECTS):
        got = await outcome(partial(tickets.update, record.ref_id, {field: given}), given)
        if not isinstance(got, ValidationError):
            found = getattr(await settle(tickets.get(record.ref_id, load=["payload"])), field)
            # pydantic converts a set to a list, and bytes to str
            assert found == given or isinstance(given, set | frozenset | tuple | bytes | bytearray), (
                field,
                given,
            )


async def test_typed_columns_accept_only_their_type(leg: Leg) -> None:
    """A text in a typed column is refused, or is stored as the literal that it represents."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    for field, given in product(TYPED, leg.some(EVERYTHING)):
        got = await outcome(partial(tickets.update, record.ref_id, {field: given}), given)
        if not isinstance(got, ValidationError):
            found = await settle(tickets.get(record.ref_id))
            assert getattr(found, field) == getattr(got, field), (field, given)
