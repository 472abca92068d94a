"""State machines and look-ups that a class declares, and what it is told when it may not."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import Field, create_model

from storekit import Entity, Mutable, UsageError, lookup, moves
from storekit.schema.ddl import render


class OrderStatus(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"


class Other(StrEnum):
    PENDING = "pending"
    NOTHING = ""


ALLOWED = {OrderStatus.PENDING: [OrderStatus.CONFIRMED], OrderStatus.CONFIRMED: [OrderStatus.SHIPPED]}


class Order(Entity, Mutable, table="orders"):
    status: Annotated[OrderStatus, moves(ALLOWED)] = OrderStatus.PENDING


class Session(Entity, table="sessions"):
    token_digest: Annotated[str, lookup()]


def declare(
    annotation: Any, default: Any = ..., *, mutable: bool = True, **more: Any
) -> Callable[[], object]:
    bases = (Entity, Mutable) if mutable else (Entity,)
    fields: dict[str, Any] = {"x": (annotation, default), **more}
    return lambda: create_model("Bad", __base__=bases, __cls_kwargs__={"table": "bad"}, **fields)


untyped_moves: Any = moves
"""`moves` without its types, for arguments that a type checker refuses too."""

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "moves that are no mapping": (
        lambda: untyped_moves([OrderStatus.PENDING]),
        "as in {Status.OPEN: [Status.DONE]}",
    ),
    "moves to a text": (
        lambda: untyped_moves({OrderStatus.PENDING: OrderStatus.CONFIRMED}),
        "list of states",
    ),
    "no moves": (lambda: untyped_moves({}), "must allow at least one move"),
    "moves to nowhere": (lambda: untyped_moves({OrderStatus.PENDING: []}), "must allow at least one move"),
    "no beginning": (lambda: moves(ALLOWED, initial=[]), "must allow at least one move"),
    "a beginning that is text": (
        lambda: untyped_moves(ALLOWED, initial=OrderStatus.PENDING),
        "list of states",
    ),
    "a state that is text": (
        lambda: untyped_moves({"pending": [OrderStatus.PENDING]}),
        "member of the field's",
    ),
    "moves of a str": (declare(Annotated[str, moves(ALLOWED)]), "non-nullable StrEnum field"),
    "moves of what may be None": (
        declare(Annotated[OrderStatus | None, moves(ALLOWED)]),
        "non-nullable StrEnum field",
    ),
    "moves of an append-only class": (
        declare(Annotated[OrderStatus, moves(ALLOWED)], mutable=False),
        "class Bad(Entity, Mutable, ...)",
    ),
    "two machines": (
        declare(Annotated[OrderStatus, moves(ALLOWED)], y=(Annotated[OrderStatus, moves(ALLOWED)], ...)),
        "x and y have moves()",
    ),
    "a state of another enum": (
        declare(Annotated[OrderStatus, moves({Other.PENDING: [Other.PENDING]})]),
        "OrderStatus.PENDING, OrderStatus.CONFIRMED",
    ),
    "a beginning of another enum": (
        declare(Annotated[OrderStatus, untyped_moves(ALLOWED, initial=[Other.PENDING])]),
        "is not a state of this field",
    ),
    "a state without a name": (
        declare(Annotated[Other, moves({Other.PENDING: [Other.NOTHING]})]),
        "is not a state of this field",
    ),
    "moves that are not called": (declare(Annotated[OrderStatus, moves]), "must be called"),
    "moves on what is inside": (declare(list[Annotated[OrderStatus, moves(ALLOWED)]]), "the whole field"),
    "a look-up of an int": (declare(Annotated[int, lookup()]), "non-nullable str field"),
    "a look-up of an enum": (declare(Annotated[OrderStatus, lookup()]), "non-nullable str field"),
    "a look-up of what may be None": (declare(Annotated[str | None, lookup()]), "non-nullable str field"),
    "two look-ups": (
        declare(Annotated[str, lookup()], y=(Annotated[str, lookup()], ...)),
        "x and y have lookup()",
    ),
    "a look-up that moves": (declare(Annotated[OrderStatus, moves(ALLOWED), lookup()]), "at most one of"),
}


@pytest.mark.parametrize(("make", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_hold_is_refused_where_the_class_is_defined(
    make: Callable[[], object], told: str
) -> None:
    """A state machine or a look-up that cannot be is a UsageError that says what to write instead."""
    with pytest.raises(UsageError) as caught:
        make()
    assert told in str(caught.value)


def test_moves_are_written_before_the_table_is_managed() -> None:
    """The migration tells the moves, from '' those of the beginning, and manage comes after them."""
    text = render(Order)
    assert text.endswith(
        "DELETE FROM storekit.move WHERE entity = 'orders';\n"
        "INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES\n"
        "    ('orders', 'status', '', 'pending'),\n"
        "    ('orders', 'status', 'pending', 'confirmed'),\n"
        "    ('orders', 'status', 'confirmed', 'shipped');\n\n"
        "SELECT storekit.manage('public.orders');\n"
    )


def beginnings(annotation: Any, default: Any = ...) -> tuple[str, ...]:
    fields: dict[str, Any] = {"status": (annotation, default)}
    made: Any = create_model("Made", __base__=(Entity, Mutable), __cls_kwargs__={"table": "made"}, **fields)
    machine = made.storekit_table.machine
    assert machine is not None
    initial: tuple[str, ...] = machine.initial
    return initial


def test_a_record_begins_where_the_class_says() -> None:
    """`initial` says where a record may begin, or else its default; without one it may begin anywhere."""
    assert beginnings(Annotated[OrderStatus, moves(ALLOWED)], OrderStatus.PENDING) == ("pending",)
    assert beginnings(Annotated[OrderStatus, moves(ALLOWED)]) == ()
    assert (
        beginnings(Annotated[OrderStatus, moves(ALLOWED)], Field(default_factory=lambda: OrderStatus.PENDING))
        == ()
    )
    both = moves(ALLOWED, initial=[OrderStatus.PENDING, OrderStatus.CONFIRMED])
    assert beginnings(Annotated[OrderStatus, both], OrderStatus.PENDING) == ("pending", "confirmed")


def test_a_machine_may_stand_beside_a_union() -> None:
    """A mark with moves may be a member of a union, as any other mark."""

    class Loose(Entity, Mutable, table="loose"):
        status: Annotated[OrderStatus, moves(ALLOWED)]

    machine = Loose.storekit_table.machine
    assert machine is not None
    assert machine.allowed == {"pending": ("confirmed",), "confirmed": ("shipped",)}


def test_a_look_up_is_a_fact_and_an_index_that_needs_no_tenant() -> None:
    """The column is told to the database, and found by its value alone."""
    text = render(Session)
    assert "CREATE INDEX ON public.sessions (token_digest);" in text
    assert (
        "INSERT INTO storekit.field (table_name, field, kind) VALUES ('sessions', 'token_digest', 'column')\n"
        "ON CONFLICT (table_name, field) DO UPDATE SET kind = excluded.kind;\n\n"
        "SELECT storekit.manage('public.sessions');"
    ) in text


def test_plan_tells_the_moves_and_the_look_up() -> None:
    """`plan()` shows where a state may go and by what a record is found."""
    assert "status: (new) -> pending; pending -> confirmed; confirmed -> shipped\n" in Order.plan()
    assert "lookup(): found by token_digest before the tenant is known\n" in Session.plan()
