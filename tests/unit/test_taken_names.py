"""Names in the database that two classes lead to."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import pytest

from storekit import Entity, Line, Mutable, Settings, UsageError
from storekit.deploy.evolve import compare
from storekit.schema.taken_names import check_names


class State(StrEnum):
    OPEN = "open"


class Order(Entity, Mutable, table="orders", natural_key=("note",)):
    note: str = ""
    line_state: State = State.OPEN


class OrderLine(Entity, table="orders_line"):
    state: State = State.OPEN


class TypeTable(Entity, table="orders_line_state"):
    note: str = ""


class KeyTable(Entity, table="orders_natural_key"):
    note: str = ""


class PrimaryTable(Entity, table="orders_pkey"):
    note: str = ""


class Other(Entity, table="orders"):
    text: str = ""


class Elsewhere(Entity, table="shop.orders_line"):
    state: State = State.OPEN


MEETING: dict[str, tuple[Sequence[type[Entity]], str]] = {
    "two types": (
        [Order, OrderLine],
        "would be the type of the field line_state of Order and the type of",
    ),
    "a type and a table": (
        [TypeTable, Order],
        "the table of TypeTable and the type of the field line_state",
    ),
    "an index and a table": ([Order, KeyTable], "an index of Order and the table of KeyTable"),
    "a key and a table": ([Order, PrimaryTable], "orders_pkey would be an index of Order"),
    "two tables": ([Order, Other], "Order and Other declare different fields for the table orders"),
}


@pytest.mark.parametrize("case", MEETING)
def test_classes_that_lead_to_one_name_are_refused(case: str) -> None:
    """schema diff and Store.embedded refuse two classes whose names meet, before they send anything."""
    classes, message = MEETING[case]
    with pytest.raises(UsageError, match=message):
        compare(Settings(), classes, Line("app", None))  # type: ignore[arg-type]  # it is refused before it is read


def test_other_classes_are_accepted() -> None:
    """A class twice, a subclass with the same table, and the same names in another schema are accepted."""

    class Same(Order):
        """It reads and writes the same table."""

    check_names([Order, Order, Same, Elsewhere])
