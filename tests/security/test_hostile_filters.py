"""Whatever comes out of a request into find and count: data to compare with, or a typed error, not sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any
from uuid import uuid4

from storekit import (
    Page,
    UsageError,
    ValidationError,
    between,
    contains,
    ge,
    has_key,
    in_,
    json_path,
    lt,
    prefix,
)
from storekit.bridge import settle
from tests.security import hostile
from tests.security.legs import Leg, Ticket, answer, quiet

LONG = 60_000
EVERYTHING = (*hostile.TEXTS, *hostile.OBJECTS)
COLUMNS = {name for name, _ in Ticket.storekit_table.types} - {"tenant_id"}
REFUSED = (ValidationError, UsageError)
ANY: tuple[Callable[[Any], Any], ...] = (
    lambda given: given,
    in_,
    lambda given: in_(*given) if isinstance(given, list | tuple) else in_(given, given),
    lt,
    ge,
    lambda given: between(given, given),
    prefix,
    contains,
    has_key,
    lambda given: json_path(given, 1),
    lambda given: json_path("a", given),
)
"""Every way for a value into a filter."""


def by_text(text: str) -> list[dict[str, Any]]:
    """Ask in every way for the one ticket that was made of a text."""
    tree = [{"tree": json_path(text, text)}] if text and "." not in text else []
    return [
        *tree,
        {"title": text},
        {"title": in_(text)},
        {"title": between(text, text)},
        {"title": prefix(text), "tags": [text]},
        {"tags": contains(text)},
        {"tree": {text: text}},
        {"tree": has_key(text)},
        {"tree": json_path("inner", text) if text == "inner" else has_key(text), "title": ge(text)},
    ]


async def test_a_text_finds_what_holds_it(leg: Leg) -> None:
    """Every text that can be stored is found by it in columns, lists, keys and JSON, and nothing else is."""
    tickets = leg.tickets(tenant=uuid4())
    texts = leg.some([text for text in hostile.TEXTS if hostile.storable(text) and len(text) < LONG])
    texts = texts if leg.servers else texts[::4]  # memory compares each with all
    saved = await settle(
        tickets.save_many([Ticket(title=text, tags=[text], tree={text: text}) for text in texts])
    )
    for text, record in zip(texts, saved, strict=True):
        for where in by_text(text):
            found = await answer(partial(tickets.find, where), where)
            assert isinstance(found, Page), f"{where!r:.200}: {found!r:.200}"
            assert [each.ref_id for each in found] == [record.ref_id], f"{where!r:.200}"
    long = next(text for text in hostile.TEXTS if len(text) >= LONG)
    assert not await settle(tickets.count({"title": long}))


async def test_a_value_is_data_or_refused(leg: Leg) -> None:
    """No value is an operator: it compares and finds nothing that is not equal, or it is refused unsent."""
    tickets = leg.tickets()
    await settle(tickets.save(Ticket(title="x", tags=["y"], tree={"z": 0})))
    unstorable = [text for text in hostile.TEXTS if not hostile.storable(text)]
    for column, given in product(
        ("title", "tags", "tree", "address", "uid", "moment", "kind"), hostile.OBJECTS
    ):
        if given is not None:
            got = await answer(partial(tickets.find, {column: given}), given)
            found = () if isinstance(got, REFUSED) else got.items
            assert all(getattr(each, column) == given for each in found), f"{column}: {given!r:.100}"
    with quiet():
        for column, word, given in product(("title", "tags", "tree"), ANY, unstorable):
            got = await answer(partial(_found, tickets, column, word, given), given)
            assert isinstance(got, REFUSED), f"{column}: {given!r:.100}: {got!r:.100}"
        for column, given in product(
            ("number", "real", "uid", "moment", "day", "flag", "kind"), hostile.TEXTS
        ):
            got = await answer(partial(tickets.count, {column: given}), given)
            assert isinstance(got, REFUSED) or given in ("open", "done"), f"{column}: {given!r:.100}"


async def test_every_word_takes_every_value_or_refuses_it(leg: Leg) -> None:
    """Each word of a filter, on each kind of column, with each object: a page or a typed error."""
    tickets = leg.tickets()
    for column, word, given in product(sorted(COLUMNS), ANY, hostile.OBJECTS):
        got = await answer(partial(_found, tickets, column, word, given), given)
        assert isinstance(got, (*REFUSED, Page)), f"{column}: {given!r:.100}: {got!r:.100}"


def _found(tickets: Any, column: str, word: Callable[[Any], Any], given: Any) -> Any:
    return tickets.find({column: word(given)})


async def test_a_name_is_a_column_or_refused(leg: Leg) -> None:
    """What is no column is none in filters either, and the error says which there are."""
    tickets = leg.tickets()
    with quiet():
        for name in EVERYTHING:
            if name in COLUMNS if isinstance(name, str) else name.__hash__ is None:
                continue
            for call in (tickets.find, tickets.count):
                got = await answer(partial(call, {name: "x"}), name)
                assert isinstance(got, ValidationError), f"{name!r:.100}: {got!r:.100}"
                assert "Ticket has id, ref_id" in str(got) or name in ("tenant_id", "file", "payload")
        for where in hostile.OBJECTS:
            if where not in (None, {}):
                got = await answer(partial(tickets.find, where), where)
                assert isinstance(got, REFUSED), f"{where!r:.100}: {got!r:.100}"


async def test_an_order_is_columns_or_refused(leg: Leg) -> None:
    """What is no column, or a list of them, is no order."""
    tickets = leg.tickets()
    for name in EVERYTHING:
        for order_by in (name, [name], ("title", name)):
            if isinstance(name, str) and name.removeprefix("-") in COLUMNS:
                continue
            if order_by is None or order_by == ["a"]:
                continue
            with quiet():
                got = await answer(partial(tickets.find, order_by=order_by, unindexed=True), order_by)
            assert isinstance(got, ValidationError), f"{order_by!r:.100}: {got!r:.100}"


async def test_a_cursor_is_a_pages_or_refused(leg: Leg) -> None:
    """What no page gave is no cursor."""
    tickets = leg.tickets()
    with quiet():
        for after in EVERYTHING:
            if after is not None:
                got = await answer(partial(tickets.find, after=after), after)
                assert isinstance(got, ValidationError), f"{after!r:.100}: {got!r:.100}"
                assert got.field == "after"


async def test_what_is_loaded_is_a_document_or_refused(leg: Leg) -> None:
    """What is no document of the class is not loaded."""
    tickets = leg.tickets()
    with quiet():
        for name in EVERYTHING:
            for load in (name, [name]):
                if load != [] and load != () and load != {} and load != set():
                    got = await answer(partial(tickets.find, load=load), load)
                    assert isinstance(got, UsageError), f"{load!r:.100}: {got!r:.100}"
