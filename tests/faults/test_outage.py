"""A server that is down before a save, and a connection that breaks during a save."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from storekit import AsyncStore, OutcomeUnknown, Store, StorekitError, Unavailable
from storekit.drivers.s3 import dataplane
from storekit.testing.faults import Point, at, observe
from tests.faults.entities import Saved, three_notes
from tests.faults.servers import Servers
from tests.faults.wire import TIMEOUT, Wire, wired
from tests.support.adapters import APIS, opened, save
from tests.support.proxy import Proxy

_STORES = ("postgres", "mongo", "s3")
_LONGEST = 2.5 * TIMEOUT.total_seconds()
"""Seconds until an error: a write whose wave fails is abandoned in one more call."""

Fault = Callable[[Proxy], None]

_DOWN: dict[str, Fault] = {"refusing": Proxy.refuse, "silent": Proxy.blackhole}
_BROKEN: dict[str, Fault] = {
    "request lost": lambda proxy: proxy.cut("to_server"),
    "reply lost": lambda proxy: proxy.cut("to_client"),
    "request cut short": lambda proxy: proxy.cut("to_server", after=60),
    "reply cut short": lambda proxy: proxy.cut("to_client", after=5),
    **_DOWN,
}
_USUAL = ("request lost", "reply lost", "silent")
_STEPS = ("postgres.stage", "postgres.commit", "mongo.insert", "s3.put")
_BREAKS = [
    pytest.param(step, fault, marks=() if fault in _USUAL else pytest.mark.long)
    for step in _STEPS
    for fault in _BROKEN
]


@pytest.fixture(autouse=True, scope="module")
def short_upload_timeout() -> Iterator[None]:
    """Reduce the time-out of a stalled upload from 30 s to that of all other calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataplane, "PUT_PATIENCE", TIMEOUT.total_seconds())
        yield


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("down", _DOWN)
@pytest.mark.parametrize("store_name", _STORES)
async def test_a_server_that_is_down_is_unavailable_within_the_timeout(
    servers: Servers, api: str, down: str, store_name: str
) -> None:
    """If a server is down, `.detail` of the error names it in time, nothing is visible, a retry succeeds."""
    with wired(servers.settings) as wire:
        async with opened(api, wire.settings) as store:
            _DOWN[down](wire.proxy(store_name))
            error = await _fail_and_repeat(servers, wire, store, visible=0)
    assert isinstance(error, Unavailable)
    assert error.store == store_name
    address = f"127.0.0.1:{wire.proxy(store_name).port}"
    assert (address in str(error.detail), address in str(error)) == (True, False)


@pytest.mark.parametrize("api", ["sync", pytest.param("async", marks=pytest.mark.long)])
async def test_a_store_works_as_soon_as_postgres_is_back(servers: Servers, api: str) -> None:
    """After an outage of many time-outs the next save succeeds."""
    with wired(servers.settings) as wire:
        async with opened(api, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            wire.postgres.refuse()
            for _ in range(3):
                await _failure(store, uuid4(), three_notes("down"))
            wire.heal()
            await save(store, uuid4(), three_notes("back"))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("step", "fault"), _BREAKS)
async def test_a_broken_connection_is_a_typed_error_and_can_be_retried(
    servers: Servers, api: str, step: str, fault: str
) -> None:
    """Raises Unavailable, or OutcomeUnknown once commit was sent; a retry gives one record each."""
    store_name = step.partition(".")[0]
    with wired(servers.settings) as wire:
        async with opened(api, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            with at(Point("before", step, 1), lambda: _BROKEN[fault](wire.proxy(store_name))):
                committed = step == "postgres.commit" and fault.startswith("reply")
                error = await _fail_and_repeat(servers, wire, store, visible=3 if committed else 0)
    if step == "postgres.commit" and fault != "refusing":
        assert isinstance(error, OutcomeUnknown)
    else:
        assert isinstance(error, Unavailable)
        assert error.store == store_name


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("step", _STEPS)
async def test_new_objects_with_the_same_key_give_the_same_record(
    servers: Servers, api: str, step: str
) -> None:
    """After a lost reply, saving new objects with the same key gives exactly one record each, at once."""
    tenant = uuid4()
    with wired(servers.settings) as wire:
        async with opened(api, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            proxy = wire.proxy(step.partition(".")[0])
            with at(Point("before", step, 1), lambda: proxy.cut("to_client")), pytest.raises(StorekitError):
                await save(store, tenant, three_notes("keyed"), "key")
            wire.heal()
            with observe() as steps:
                await save(store, tenant, three_notes("keyed"), "key")
    assert not steps.count("sleep")
    assert servers.reader.complete_records(tenant) == 3


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("step", ["s3.put", "mongo.insert"])
async def test_a_put_whose_reply_is_lost_is_repeated(servers: Servers, api: str, step: str) -> None:
    """If one reply of S3 or MongoDB is lost, the save succeeds and the bytes are stored once."""
    tenant = uuid4()
    with wired(servers.settings) as wire:
        async with opened(api, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            proxy = wire.proxy(step.partition(".")[0])
            with at(Point("before", step, 1), lambda: proxy.cut("to_client", times=1)):
                await save(store, tenant, three_notes("lost once"))
    assert proxy.fault is None, "a reply was lost"
    assert servers.reader.complete_records(tenant) == 3
    assert servers.reader.stored(tenant) == (3, 3)


async def _fail_and_repeat(
    servers: Servers, wire: Wire, store: Store | AsyncStore, *, visible: int
) -> StorekitError:
    tenant, objects, unhandled = uuid4(), three_notes("broken"), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    error = await _failure(store, tenant, objects)
    assert servers.reader.complete_records(tenant) == visible
    wire.heal()
    await save(store, tenant, objects)
    assert servers.reader.complete_records(tenant) == 3
    assert servers.reader.writes(tenant, "pending") == 0
    assert unhandled == []
    return error


async def _failure(store: Store | AsyncStore, tenant: Any, objects: Saved) -> StorekitError:
    began = time.monotonic()
    with pytest.raises(StorekitError) as caught:
        await save(store, tenant, objects)
    took = time.monotonic() - began
    assert took < _LONGEST, f"it took {took:.1f} s"
    assert caught.value.retryable
    return caught.value
