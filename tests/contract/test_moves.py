"""Transitions of state machines, and the history of a record."""

from __future__ import annotations

from decimal import Decimal

import pytest

from storekit import (
    Conflict,
    Entity,
    InvalidTransition,
    NotFound,
    UsageError,
    ValidationError,
)
from storekit.ids import new_ref_id
from tests.support.entities import Call, Everything, Order, OrderStatus, Run
from tests.support.harness import Harness, steps, trips


async def order(harness: Harness) -> Order:
    saved: Order = await harness.repository(Order).save(Order(number="A-1"))
    return saved


async def test_a_transition_returns_the_record_in_one_trip(harness: Harness) -> None:
    """transition() returns the record with its new state, version and actor."""
    saved = await order(harness)
    with steps() as seen:
        moved = await harness.repository(Order, actor="user:packer").transition(
            saved.ref_id, OrderStatus.CONFIRMED, reason="paid by card"
        )
    assert trips(seen) == {"postgres.transition": 1}
    assert (moved.status, moved.version, moved.updated_by, moved.number) == (
        OrderStatus.CONFIRMED,
        2,
        "user:packer",
        "A-1",
    )


@pytest.mark.parametrize("to", ["shipped", "pending", OrderStatus.DELIVERED])
async def test_a_transition_that_is_not_allowed_is_refused(harness: Harness, to: str) -> None:
    """InvalidTransition has both states and the allowed ones; staying in a state must be declared too."""
    saved = await order(harness)
    with pytest.raises(InvalidTransition, match="allowed: confirmed, refunded") as error:
        await harness.repository(Order).transition(saved.ref_id, to)
    assert (error.value.from_, error.value.to, error.value.allowed) == (
        "pending",
        str(to),
        ("confirmed", "refunded"),
    )
    assert (await harness.repository(Order).get(saved.ref_id)).version == 1


async def test_a_final_state_allows_no_transition(harness: Harness) -> None:
    """A state without declared moves allows no other state."""
    saved = await order(harness)
    await harness.repository(Order).transition(saved.ref_id, "refunded")
    with pytest.raises(InvalidTransition, match="refunded is final") as error:
        await harness.repository(Order).transition(saved.ref_id, "pending")
    assert error.value.allowed == ()


async def test_save_and_update_obey_the_state_machine(harness: Harness) -> None:
    """save() and update() allow the same moves as transition(), and a refusal changes nothing."""
    saved = await order(harness)
    with pytest.raises(InvalidTransition):
        await harness.repository(Order).update(saved.ref_id, {"status": "delivered", "number": "A-2"})
    saved.status = OrderStatus.SHIPPED
    with pytest.raises(InvalidTransition):
        await harness.repository(Order).save(saved)
    saved.status = OrderStatus.CONFIRMED
    assert (await harness.repository(Order).save(saved)).version == 2
    events = await harness.repository(Order).history(saved.ref_id)
    assert [event.type for event in events] == ["orders.created", "orders.transitioned"]


async def test_a_new_record_must_have_an_initial_state(harness: Harness) -> None:
    """Saving a new record in another state raises InvalidTransition without a former state."""
    with pytest.raises(InvalidTransition, match="start as shipped") as error:
        await harness.repository(Order).save(Order(number="A-1", status=OrderStatus.SHIPPED))
    assert (error.value.from_, error.value.allowed) == (None, ("pending",))


async def test_a_transition_compares_the_version(harness: Harness) -> None:
    """An outdated expected_version raises Conflict and changes nothing."""
    saved = await order(harness)
    with pytest.raises(Conflict) as error:
        await harness.repository(Order).transition(saved.ref_id, "confirmed", expected_version=7)
    assert (error.value.expected, error.value.found) == (7, 1)


async def test_a_repeated_transition_returns_the_record(harness: Harness) -> None:
    """A transition that was the last change of the record returns it as it is: no event, no new version."""
    saved, orders = await order(harness), harness.repository(Order)
    moved = await orders.transition(saved.ref_id, "confirmed", reason="paid")
    for expected in (None, 1, 2):  # the version before the transition, or after it
        with steps() as seen:
            again = await orders.transition(saved.ref_id, "confirmed", reason="x", expected_version=expected)
        assert trips(seen) == {"postgres.transition": 1}
        assert again.model_dump() == moved.model_dump()
    assert [event.reason for event in await orders.history(saved.ref_id)] == [None, "paid"]


async def test_a_transition_is_repeated_only_if_nothing_came_between(harness: Harness) -> None:
    """In the state after another change, by another move or with another version, it is refused."""
    saved, orders = await order(harness), harness.repository(Order)
    await orders.transition(saved.ref_id, "confirmed")
    for version in (3, 7):
        with pytest.raises(InvalidTransition):
            await orders.transition(saved.ref_id, "confirmed", expected_version=version)
    await orders.update(saved.ref_id, {"number": "A-2"})
    with pytest.raises(
        InvalidTransition, match="is confirmed already, and its last change was a different one"
    ):
        await orders.transition(saved.ref_id, "confirmed")
    await orders.transition(saved.ref_id, "shipped")
    with pytest.raises(InvalidTransition):
        await orders.transition(saved.ref_id, "confirmed")
    assert (await orders.get(saved.ref_id)).version == 4


async def test_a_transition_of_a_missing_record_is_not_found(harness: Harness) -> None:
    """An unknown record, a deleted one and one of another tenant raise NotFound."""
    saved = await order(harness)
    orders = harness.repository(Order)
    with pytest.raises(NotFound):
        await orders.transition(new_ref_id(), "confirmed")
    other = Harness(harness.store, harness.browse, harness.move_clock).repository(Order)
    with pytest.raises(NotFound):
        await other.transition(saved.ref_id, "confirmed")
    await orders.delete(saved.ref_id)
    for state in ("pending", "confirmed"):  # the error of a deleted record must not depend on its state
        with pytest.raises(NotFound):
            await orders.transition(saved.ref_id, state)


@pytest.mark.parametrize(
    ("entity", "to", "error"),
    [
        (Order, "lost", ValidationError),
        (Order, None, ValidationError),
        (Order, "", ValidationError),
        (Run, "done", UsageError),
    ],
)
async def test_an_unknown_state_is_refused(
    harness: Harness, entity: type[Entity], to: str, error: type[Exception]
) -> None:
    """A state that the class does not have, and a class without a state machine, raise before any trip."""
    with steps() as seen, pytest.raises(error):
        await harness.repository(entity).transition(new_ref_id(), to)
    assert trips(seen) == {}


async def test_history_returns_each_change_oldest_first(harness: Harness) -> None:
    """Each change is one event with its actor, its reason and the values before and after."""
    saved = await order(harness)
    orders = harness.repository(Order, actor="user:boss")
    await orders.transition(saved.ref_id, "confirmed", reason="paid by card")
    await orders.update(saved.ref_id, {"number": "A-2"})
    await orders.delete(saved.ref_id)
    with steps() as seen:
        events = await harness.repository(Order).history(saved.ref_id)
    assert trips(seen) == {"postgres.select": 1}
    assert [(e.type, e.version, e.by, e.reason) for e in events] == [
        ("orders.created", 1, "user:tester", None),
        ("orders.transitioned", 2, "user:boss", "paid by card"),
        ("orders.updated", 3, "user:boss", None),
        ("orders.deleted", 4, "user:boss", None),
    ]
    assert (events[0].before, events[0].after["number"]) == (None, "A-1")
    assert (events[1].before, events[1].after) == ({"status": "pending"}, {"status": "confirmed"})
    assert (events[2].before, events[2].after) == ({"number": "A-1"}, {"number": "A-2"})
    assert [event.on for event in events] == sorted(event.on for event in events)


async def test_history_with_a_limit_returns_the_newest_events(harness: Harness) -> None:
    """history(limit=n) returns the n newest events, oldest first."""
    saved = await order(harness)
    for number in range(2, 5):
        await harness.repository(Order).update(saved.ref_id, {"number": f"A-{number}"})
    events = await harness.repository(Order).history(saved.ref_id, limit=2)
    assert [event.version for event in events] == [3, 4]


@pytest.mark.parametrize("limit", [0, 1001, True, "10"])
async def test_the_limit_of_history_is_checked(harness: Harness, limit: object) -> None:
    """A limit outside 1 to 1000 is refused."""
    with pytest.raises(UsageError):
        await harness.repository(Order).history(new_ref_id(), limit=limit)


async def test_the_history_of_another_tenants_record_is_not_found(harness: Harness) -> None:
    """The history of a record that this tenant never had raises NotFound."""
    saved = await order(harness)
    other = Harness(harness.store, harness.browse, harness.move_clock).repository(Order)
    with pytest.raises(NotFound):
        await other.history(saved.ref_id)


async def test_history_returns_exact_numbers(harness: Harness) -> None:
    """A decimal with many digits is returned exactly."""
    everything = harness.repository(Everything)
    saved = await everything.save(Everything(money=Decimal("12345678901234567.89"), number=2**62))
    await everything.update(saved.ref_id, {"money": Decimal("12.50")})
    created, updated = await everything.history(saved.ref_id)
    assert created.after["money"] == updated.before["money"] == Decimal("12345678901234567.89")
    assert (str(updated.after["money"]), created.after["number"]) == ("12.50", 2**62)


async def test_the_first_event_shows_every_column_of_the_row(harness: Harness) -> None:
    """Its image has the columns of the class, of storekit, of each part, and of the expiry of a document."""
    call = await harness.call()
    (created,) = await harness.repository(Call).history(call.ref_id)
    parts = {"payload_ref", "payload_expired_on", "transcript_ref"}
    assert created.after is not None
    assert created.after.keys() == Call.model_fields.keys() - {"payload", "transcript"} | parts
