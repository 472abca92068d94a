"""Whatever a caller passes as a value: it comes back as it was, or a typed error says why it cannot."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

from storekit import ValidationError
from storekit.bridge import settle
from tests.security import hostile
from tests.security.legs import Address, Leg, Ticket, answer, quiet

EVERYTHING = (*hostile.TEXTS, *hostile.OBJECTS)
STORABLE = [text for text in hostile.TEXTS if hostile.storable(text)]
UNSTORABLE = [text for text in hostile.TEXTS if not hostile.storable(text)]
LONG = 60_000
TYPED = ("kind", "number", "real", "money", "flag", "uid", "moment", "day", "numbers", "reals")


def is_key(text: str) -> bool:
    """Tell whether a document takes a text as a key."""
    return bool(text) and "." not in text and not text.startswith("$")


def ticket(text: str) -> Ticket:
    """Put a text everywhere; a very long one only once in each store."""
    if len(text) >= LONG:
        return Ticket(title=text, payload={"value": text})
    return Ticket(
        title=text,
        tags=[text, text],
        tree={text: [text, {text: text}]},
        address=Address(street=text, notes={text: text}),
        payload={"value": text, "list": [text], "inner": {"a": {text if is_key(text) else "b": text}}},
    )


def facts(record: Ticket) -> tuple[Any, ...]:
    return record.title, record.tags, record.tree, record.address, record.payload


async def test_a_text_comes_back_as_it_was(leg: Leg) -> None:
    """Every text that can be stored is read back equal from columns, arrays, JSON and documents."""
    tickets = leg.tickets()
    texts = leg.some(STORABLE)
    saved = await settle(tickets.save_many([ticket(text) for text in texts]))
    for text, record in zip(texts, saved, strict=True):
        found = await answer(partial(tickets.get, record.ref_id, load=["payload"]), text)
        assert facts(found) == facts(ticket(text)), f"{text!r:.100}"


async def test_a_text_is_updated_to_what_was_given(leg: Leg) -> None:
    """Every text that can be stored is what an update answers, and what the record's history tells."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    wanted = leg.some([text for text in STORABLE if len(text) < LONG])
    for text in wanted:
        given = {"title": text, "tree": {text: text}, "tags": [text]}
        found = await answer(partial(tickets.update, record.ref_id, given), text)
        assert (found.title, found.tree, found.tags) == (text, {text: text}, [text])
    told = [event.after["title"] for event in (await settle(tickets.history(record.ref_id)))[1:]]
    assert told == wanted


async def test_what_cannot_be_stored_is_refused(leg: Leg) -> None:
    """U+0000 and lone surrogates are ValidationError wherever they stand, and nothing is sent."""
    tickets = leg.tickets()
    with quiet():
        for text in UNSTORABLE:
            for given in (
                {"title": text}, {"tags": ["a", text]}, {"tree": {text: 1}}, {"tree": {"a": [{"b": text}]}},
                {"address": {"street": text}}, {"payload": {text: 1}}, {"payload": {"a": [text]}},
            ):  # fmt: skip
                got = await answer(partial(tickets.update, leg.theirs, given), given)
                assert isinstance(got, ValidationError), f"{given!r:.100}: {got!r:.100}"


async def test_a_key_that_is_an_operator_is_refused_or_no_operator(leg: Leg) -> None:
    """A document refuses keys that MongoDB could take for more than keys; a JSON column keeps any."""
    tickets = leg.tickets()
    texts = [text for text in STORABLE if not is_key(text) and len(text) < LONG]
    with quiet():
        for text in texts:
            for body in ({text: 1}, {"a": [{text: None}]}):
                got = await answer(partial(tickets.save, Ticket(title="x", payload=body)), body)
                assert isinstance(got, ValidationError), f"{body!r:.100}: {got!r:.100}"
    saved = await settle(tickets.save(Ticket(title="x", tree={text: {text: None} for text in texts})))
    assert (await settle(tickets.get(saved.ref_id))).tree == {text: {text: None} for text in texts}


async def test_an_object_where_a_text_belongs_is_refused_or_data(leg: Leg) -> None:
    """An operator object is never an operator: a field refuses it, or keeps it as it is."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    for field, given in product(("title", "tags", "tree", "address", "payload", "file"), hostile.OBJECTS):
        got = await answer(partial(tickets.update, record.ref_id, {field: given}), given)
        if not isinstance(got, ValidationError):
            found = getattr(await settle(tickets.get(record.ref_id, load=["payload"])), field)
            # pydantic makes a list of a set, and a str of bytes
            assert found == given or isinstance(given, set | frozenset | tuple | bytes | bytearray), (
                field,
                given,
            )


async def test_a_typed_column_takes_its_type(leg: Leg) -> None:
    """Where no text belongs it is refused, or is a literal of its type: what was answered is kept."""
    tickets = leg.tickets()
    record = await settle(tickets.save(Ticket(title="x")))
    for field, given in product(TYPED, EVERYTHING):
        got = await answer(partial(tickets.update, record.ref_id, {field: given}), given)
        if not isinstance(got, ValidationError):
            found = await settle(tickets.get(record.ref_id))
            assert getattr(found, field) == getattr(got, field), (field, given)
