"""A transition whose only step fails moves the record once or not at all, and a retry finds out which."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, OutcomeUnknown, Store, Unavailable
from storekit.bridge import settle
from storekit.testing.faults import InjectedError, Point, at, fail
from tests.faults.servers import Servers
from tests.faults.wire import wired
from tests.support.adapters import APIS, opened, repository, save
from tests.support.entities import Order, OrderStatus

_STEP = "postgres.transition"


async def _order(store: Store | AsyncStore, tenant: UUID) -> str:
    (saved,) = await save(store, tenant, [Order(number="1")])
    return saved.ref_id


async def _confirm(store: Store | AsyncStore, tenant: UUID, ref_id: str) -> Order:
    orders = repository(store, tenant, Order)
    confirmed: Order = await settle(orders.transition(ref_id, OrderStatus.CONFIRMED, reason="done"))
    return confirmed


async def _moves(store: Store | AsyncStore, tenant: UUID, ref_id: str) -> list[str | None]:
    events = await settle(repository(store, tenant, Order).history(ref_id))
    return [event.reason for event in events if event.type == "orders.transitioned"]


@pytest.mark.parametrize("api", APIS)
async def test_a_transition_whose_reply_is_lost(servers: Servers, api: str) -> None:
    """Raises OutcomeUnknown; the record moved once, and a retry returns it."""
    tenant = uuid4()
    with wired(servers.settings) as wire:
        async with opened(api, wire.settings) as store:
            ref_id = await _order(store, tenant)
            lose = at(Point("before", _STEP, 1), lambda: wire.postgres.cut("to_client"))
            with lose, pytest.raises(OutcomeUnknown) as error:
                await _confirm(store, tenant, ref_id)
            assert error.value.retryable
            wire.heal()
            assert (await _confirm(store, tenant, ref_id)).version == 2
            assert await _moves(store, tenant, ref_id) == ["done"]


@pytest.mark.parametrize("api", APIS)
async def test_a_transition_while_postgres_is_down(servers: Servers, api: str) -> None:
    """With the server down it raises Unavailable; once it is back the same call moves the record."""
    tenant = uuid4()
    with wired(servers.settings) as wire:
        async with opened(api, wire.settings) as store:
            ref_id = await _order(store, tenant)
            wire.postgres.refuse()
            with pytest.raises(Unavailable):
                await _confirm(store, tenant, ref_id)
            wire.heal()
            assert await _moves(store, tenant, ref_id) == []
            assert (await _confirm(store, tenant, ref_id)).status is OrderStatus.CONFIRMED


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("when", "moved"), [("before", []), ("after", ["done"])])
async def test_an_error_before_or_after_the_step(
    servers: Servers, api: str, when: Literal["before", "after"], moved: list[str]
) -> None:
    """An error before the step moves nothing, one after it leaves the record moved; no connection leaks."""
    tenant = uuid4()
    async with opened(api, servers.settings.model_copy(update={"pool_size": 1})) as store:
        ref_id = await _order(store, tenant)
        with at(Point(when, _STEP, 1), fail), pytest.raises(InjectedError):
            await _confirm(store, tenant, ref_id)
        assert await _moves(store, tenant, ref_id) == moved
