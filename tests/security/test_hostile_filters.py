"""Input to find and count is compared as data, or refused with a typed error before sending."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter

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
from tests.security.legs import Leg, Ticket, outcome, quiet

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
"""Every kind of filter that takes a value."""


def by_text(text: str) -> list[dict[str, Any]]:
    """Search in every way for the ticket that was made from a text."""
    tree = [{"tree": json_path(text, text)}] if text and "." not in text else []
    return [
        *tree,
        {"title": text},
        {"title": in_(text)},
        {"title": between(text, text)},
        {"title": prefix(text), "texts": [text]},
        {"texts": contains(text)},
        {"tree": {text: text}},
        {"tree": has_key(text)},
        {"tree": json_path("inner", text) if text == "inner" else has_key(text), "title": ge(text)},
    ]


async def test_texts_are_found_by_equality(leg: Leg) -> None:
    """Every storable text finds its own record by columns, lists, keys and JSON, and no other record."""
    tickets = leg.tickets(tenant=uuid4())
    texts = leg.some([text for text in hostile.TEXTS if hostile.storable(text) and len(text) < LONG])
    texts = texts if leg.servers else texts[::4]  # the memory store compares every text with every record
    saved = await settle(
        tickets.save_many([Ticket(title=text, texts=[text], tree={text: text}) for text in texts])
    )
    for text, record in zip(texts, saved, strict=True):
        for where in by_text(text):
            found = await outcome(partial(tickets.find, where), where)
            assert isinstance(found, Page), f"{where!r:.200}: {found!r:.200}"
            assert [each.ref_id for each in found] == [record.ref_id], f"{where!r:.200}"
    long = next(text for text in hostile.TEXTS if len(text) >= LONG)
    assert not await settle(tickets.count({"title": long}))


async def test_values_are_data_or_refused(leg: Leg) -> None:
    """A value is never an operator: it finds equal values only, or is refused before sending."""
    tickets = leg.tickets()
    await settle(tickets.save(Ticket(title="title", texts=["y"], tree={"z": 0})))
    unstorable = [text for text in hostile.TEXTS if not hostile.storable(text)]
    for column, given in product(
        ("title", "texts", "tree", "address", "uid", "moment", "status"), hostile.OBJECTS
    ):
        if given is not None:
            got = await outcome(partial(tickets.find, {column: given}), given)
            found = () if isinstance(got, REFUSED) else got.items
            wanted = _read(column, given) if found else None
            assert all(getattr(each, column) == wanted for each in found), f"{column}: {given!r:.100}"
    with quiet():
        for column, word, given in product(("title", "texts", "tree"), ANY, unstorable):
            got = await outcome(partial(_found, tickets, column, word, given), given)
            assert isinstance(got, REFUSED), f"{column}: {given!r:.100}: {got!r:.100}"
        for column, given in product(
            ("number", "real", "uid", "moment", "day", "flag", "status"), hostile.TEXTS
        ):
            if _reads(column, given):
                continue
            got = await outcome(partial(tickets.count, {column: given}), given)
            assert isinstance(got, REFUSED), f"{column}: {given!r:.100}"


def _read(column: str, given: Any) -> Any:
    """Return what pydantic reads as the type of a column, as in Ticket(number="1")."""
    return TypeAdapter[Any](Ticket.model_fields[column].annotation or object).validate_python(given)


def _reads(column: str, text: str) -> bool:
    try:
        _read(column, text)
    except ValueError:
        return False
    return True


async def test_every_filter_accepts_or_refuses_every_value(leg: Leg) -> None:
    """Each filter, on each kind of column, with each object, returns a page or raises a typed error."""
    tickets = leg.tickets()
    for column, word, given in product(sorted(COLUMNS), ANY, hostile.OBJECTS):
        got = await outcome(partial(_found, tickets, column, word, given), given)
        assert isinstance(got, (*REFUSED, Page)), f"{column}: {given!r:.100}: {got!r:.100}"


def _found(tickets: Any, column: str, word: Callable[[Any], Any], given: Any) -> Any:
    return tickets.find({column: word(given)})


async def test_filter_names_must_be_columns(leg: Leg) -> None:
    """A filter on an unknown column is refused, and the error lists the columns."""
    tickets = leg.tickets()
    with quiet():
        for name in leg.some(EVERYTHING):
            if name in COLUMNS if isinstance(name, str) else name.__hash__ is None:
                continue
            for call in (tickets.find, tickets.count):
                got = await outcome(partial(call, {name: "x"}), name)
                assert isinstance(got, ValidationError), f"{name!r:.100}: {got!r:.100}"
                assert "Ticket has id, ref_id" in str(got) or name in ("tenant_id", "file", "payload")
        for where in hostile.OBJECTS:
            if where not in (None, {}):
                got = await outcome(partial(tickets.find, where), where)
                assert isinstance(got, REFUSED), f"{where!r:.100}: {got!r:.100}"


async def test_order_must_name_columns(leg: Leg) -> None:
    """order_by must be a column or a list of columns."""
    tickets = leg.tickets()
    for name in leg.some(EVERYTHING):
        for order_by in (name, [name], ("title", name)):
            if isinstance(name, str) and name.removeprefix("-") in COLUMNS:
                continue
            if order_by is None or order_by == ["a"]:
                continue
            with quiet():
                got = await outcome(partial(tickets.find, order_by=order_by, unindexed=True), order_by)
            assert isinstance(got, ValidationError), f"{order_by!r:.100}: {got!r:.100}"


async def test_page_cursors_must_come_from_a_page(leg: Leg) -> None:
    """A page cursor that was not returned by a page is refused."""
    tickets = leg.tickets()
    with quiet():
        for after in leg.some(EVERYTHING):
            if after is not None:
                got = await outcome(partial(tickets.find, after=after), after)
                assert isinstance(got, ValidationError), f"{after!r:.100}: {got!r:.100}"
                assert got.field == "after"


async def test_load_must_name_documents(leg: Leg) -> None:
    """load must name document fields of the class."""
    tickets = leg.tickets()
    with quiet():
        for name in leg.some(EVERYTHING):
            for load in (name, [name]):
                if load != [] and load != () and load != {} and load != set():
                    got = await outcome(partial(tickets.find, load=load), load)
                    assert isinstance(got, UsageError), f"{load!r:.100}: {got!r:.100}"
