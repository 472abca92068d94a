"""Declarations of state machines and lookup fields, and the errors of invalid ones."""

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
    "moves that are not a mapping": (
        lambda: untyped_moves([OrderStatus.PENDING]),
        "as in {Status.OPEN: [Status.DONE]}",
    ),
    "moves to a text": (
        lambda: untyped_moves({OrderStatus.PENDING: OrderStatus.CONFIRMED}),
        "list of states",
    ),
    "no moves": (lambda: untyped_moves({}), "must allow at least one move"),
    "a state without moves": (
        lambda: untyped_moves({OrderStatus.PENDING: []}),
        "must allow at least one move",
    ),
    "no initial state": (lambda: moves(ALLOWED, initial=[]), "must allow at least one move"),
    "an initial state that is text": (
        lambda: untyped_moves(ALLOWED, initial=OrderStatus.PENDING),
        "list of states",
    ),
    "a state that is text": (
        lambda: untyped_moves({"pending": [OrderStatus.PENDING]}),
        "member of the field's",
    ),
    "moves of a str": (declare(Annotated[str, moves(ALLOWED)]), "non-nullable StrEnum field"),
    "moves of a nullable field": (
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
    "an initial state of another enum": (
        declare(Annotated[OrderStatus, untyped_moves(ALLOWED, initial=[Other.PENDING])]),
        "is not a state of this field",
    ),
    "an empty state": (
        declare(Annotated[Other, moves({Other.PENDING: [Other.NOTHING]})]),
        "is not a state of this field",
    ),
    "moves without parentheses": (declare(Annotated[OrderStatus, moves]), "must be called"),
    "moves inside a type": (declare(list[Annotated[OrderStatus, moves(ALLOWED)]]), "the whole field"),
    "a lookup of an int": (declare(Annotated[int, lookup()]), "non-nullable str field"),
    "a lookup of an enum": (declare(Annotated[OrderStatus, lookup()]), "non-nullable str field"),
    "a nullable lookup": (declare(Annotated[str | None, lookup()]), "non-nullable str field"),
    "two lookups": (
        declare(Annotated[str, lookup()], y=(Annotated[str, lookup()], ...)),
        "x and y have lookup()",
    ),
    "a lookup with moves": (declare(Annotated[OrderStatus, moves(ALLOWED), lookup()]), "at most one of"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_machine_or_lookup_raises_at_the_class(make: Callable[[], object], message: str) -> None:
    """An invalid state machine or lookup field raises UsageError with the remedy."""
    with pytest.raises(UsageError) as caught:
        make()
    assert message in str(caught.value)


def test_moves_are_rendered_before_manage() -> None:
    """The migration inserts the moves, the initial ones as moves from '', before it calls manage."""
    text = render(Order)
    assert text.endswith(
        "DELETE FROM storekit.move WHERE entity = 'orders';\n"
        "INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES\n"
        "    ('orders', 'status', '', 'pending'),\n"
        "    ('orders', 'status', 'pending', 'confirmed'),\n"
        "    ('orders', 'status', 'confirmed', 'shipped');\n\n"
        "SELECT storekit.manage('public.orders');\n"
    )


def initial_states(annotation: Any, default: Any = ...) -> tuple[str, ...]:
    fields: dict[str, Any] = {"status": (annotation, default)}
    made: Any = create_model("Made", __base__=(Entity, Mutable), __cls_kwargs__={"table": "made"}, **fields)
    machine = made.storekit_table.machine
    assert machine is not None
    initial: tuple[str, ...] = machine.initial
    return initial


def test_the_initial_states_of_a_class() -> None:
    """The initial states are `initial`, or else the default, or else all states."""
    assert initial_states(Annotated[OrderStatus, moves(ALLOWED)], OrderStatus.PENDING) == ("pending",)
    assert initial_states(Annotated[OrderStatus, moves(ALLOWED)]) == ()
    assert (
        initial_states(
            Annotated[OrderStatus, moves(ALLOWED)], Field(default_factory=lambda: OrderStatus.PENDING)
        )
        == ()
    )
    both = moves(ALLOWED, initial=[OrderStatus.PENDING, OrderStatus.CONFIRMED])
    assert initial_states(Annotated[OrderStatus, both], OrderStatus.PENDING) == ("pending", "confirmed")


def test_moves_may_be_inside_a_union() -> None:
    """A mark with moves may be on a member of a union, like any other mark."""

    class Loose(Entity, Mutable, table="loose"):
        status: Annotated[OrderStatus, moves(ALLOWED)]

    machine = Loose.storekit_table.machine
    assert machine is not None
    assert machine.allowed == {"pending": ("confirmed",), "confirmed": ("shipped",)}


def test_a_lookup_field_has_a_global_index() -> None:
    """The lookup column is registered in the database, and indexed without the tenant."""
    text = render(Session)
    assert "CREATE INDEX ON public.sessions (token_digest);" in text
    assert (
        "INSERT INTO storekit.field (table_name, field, kind) VALUES ('sessions', 'token_digest', 'column')\n"
        "ON CONFLICT (table_name, field) DO UPDATE SET kind = excluded.kind;\n\n"
        "SELECT storekit.manage('public.sessions');"
    ) in text


def test_plan_shows_moves_and_lookup() -> None:
    """`plan()` shows the moves of each state and the lookup field."""
    assert "status: (new) -> pending; pending -> confirmed; confirmed -> shipped\n" in Order.plan()
    assert "lookup(): found by token_digest before the tenant is known\n" in Session.plan()
