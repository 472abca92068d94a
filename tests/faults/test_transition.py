"""A transition at whose only step something goes wrong: moved once, or not at all, and who asks learns it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, InvalidTransition, OutcomeUnknown, Store, Unavailable
from storekit.bridge import settle
from storekit.testing.faults import InjectedError, Point, at, fail
from tests.faults.entities import Ticket, TicketStatus
from tests.faults.rig import Rig
from tests.faults.wire import wired
from tests.support.adapters import COLOURS, opened, repository, save

_STEP = "postgres.transition"


async def _ticket(store: Store | AsyncStore, tenant: UUID) -> str:
    (saved,) = await save(store, tenant, [Ticket()])
    return saved.ref_id


async def _close(store: Store | AsyncStore, tenant: UUID, ref_id: str) -> Ticket:
    tickets = repository(store, tenant, Ticket)
    closed: Ticket = await settle(tickets.transition(ref_id, TicketStatus.CLOSED, reason="done"))
    return closed


async def _moves(store: Store | AsyncStore, tenant: UUID, ref_id: str) -> list[str | None]:
    events = await settle(repository(store, tenant, Ticket).history(ref_id))
    return [event.reason for event in events if event.type == "fault_tickets.transitioned"]


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_transition_whose_answer_is_lost_is_an_unknown_outcome_and_its_history_tells(
    rig: Rig, colour: str
) -> None:
    """OutcomeUnknown; the record moved once, and asking again names the state it is in."""
    tenant = uuid4()
    with wired(rig.settings) as wire:
        async with opened(colour, wire.settings) as store:
            ref_id = await _ticket(store, tenant)
            lose = at(Point("before", _STEP, 1), lambda: wire.postgres.cut("to_client"))
            with lose, pytest.raises(OutcomeUnknown) as error:
                await _close(store, tenant, ref_id)
            assert error.value.retryable
            wire.heal()
            with pytest.raises(InvalidTransition) as again:
                await _close(store, tenant, ref_id)
            assert again.value.from_ == "closed"
            assert await _moves(store, tenant, ref_id) == ["done"]


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_transition_that_postgres_never_got_moved_nothing_and_can_be_repeated(
    rig: Rig, colour: str
) -> None:
    """With the server down it is Unavailable; when it is back the same call moves the record."""
    tenant = uuid4()
    with wired(rig.settings) as wire:
        async with opened(colour, wire.settings) as store:
            ref_id = await _ticket(store, tenant)
            wire.postgres.refuse()
            with pytest.raises(Unavailable):
                await _close(store, tenant, ref_id)
            wire.heal()
            assert await _moves(store, tenant, ref_id) == []
            assert (await _close(store, tenant, ref_id)).status is TicketStatus.CLOSED


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("when", "moved"), [("before", []), ("after", ["done"])])
async def test_an_error_around_the_step_leaves_the_record_moved_or_not(
    rig: Rig, colour: str, when: Literal["before", "after"], moved: list[str]
) -> None:
    """Before the step nothing has moved, after it the record has; one connection serves on."""
    tenant = uuid4()
    async with opened(colour, rig.settings.model_copy(update={"pool_size": 1})) as store:
        ref_id = await _ticket(store, tenant)
        with at(Point(when, _STEP, 1), fail), pytest.raises(InjectedError):
            await _close(store, tenant, ref_id)
        assert await _moves(store, tenant, ref_id) == moved
