"""A server down before a save, and a link broken in the middle of one."""

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
from tests.faults.rig import Rig
from tests.faults.wire import TIMEOUT, Wire, wired
from tests.support.adapters import COLOURS, opened, save
from tests.support.proxy import Proxy

_STORES = ("postgres", "mongo", "s3")
_LONGEST = 2.5 * TIMEOUT.total_seconds()
"""Seconds until an error: what fails in a wave is abandoned in one more call."""

Fault = Callable[[Proxy], None]

_DOWN: dict[str, Fault] = {"refusing": Proxy.refuse, "silent": Proxy.blackhole}
_BROKEN: dict[str, Fault] = {
    "question lost": lambda proxy: proxy.cut("to_server"),
    "answer lost": lambda proxy: proxy.cut("to_client"),
    "question cut short": lambda proxy: proxy.cut("to_server", after=60),
    "answer cut short": lambda proxy: proxy.cut("to_client", after=5),
    **_DOWN,
}
_USUAL = ("question lost", "answer lost", "silent")
_STEPS = ("postgres.stage", "postgres.commit", "mongo.insert", "s3.put")
_BREAKS = [
    pytest.param(step, fault, marks=() if fault in _USUAL else pytest.mark.long)
    for step in _STEPS
    for fault in _BROKEN
]


@pytest.fixture(autouse=True, scope="module")
def impatient() -> Iterator[None]:
    """An upload that stands still is given 30 s; here as long as everything else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataplane, "PUT_PATIENCE", TIMEOUT.total_seconds())
        yield


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("down", _DOWN)
@pytest.mark.parametrize("store_name", _STORES)
async def test_a_server_that_is_down_before_a_save_is_unavailable_within_the_time_out(
    rig: Rig, colour: str, down: str, store_name: str
) -> None:
    """A server down before a save: Unavailable names it in time, nothing is visible, a retry succeeds."""
    with wired(rig.settings) as wire:
        async with opened(colour, wire.settings) as store:
            _DOWN[down](wire.proxy(store_name))
            error = await _fail_and_repeat(rig, wire, store, visible=0)
    assert isinstance(error, Unavailable)
    assert error.store == store_name
    if store_name != "s3":
        assert f"127.0.0.1:{wire.proxy(store_name).port}" in str(error)


@pytest.mark.parametrize("colour", ["sync", pytest.param("async", marks=pytest.mark.long)])
async def test_a_store_serves_at_once_when_postgres_is_back_however_long_it_was_down(
    rig: Rig, colour: str
) -> None:
    """After an outage of many time-outs the next save succeeds."""
    with wired(rig.settings) as wire:
        async with opened(colour, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            wire.postgres.refuse()
            for _ in range(3):
                await _failure(store, uuid4(), three_notes("down"))
            wire.heal()
            await save(store, uuid4(), three_notes("back"))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("step", "fault"), _BREAKS)
async def test_a_link_that_breaks_in_a_step_is_a_typed_error_and_a_retry_is_right(
    rig: Rig, colour: str, step: str, fault: str
) -> None:
    """Unavailable, or OutcomeUnknown where commit was sent; the same objects again are one record each."""
    store_name = step.partition(".")[0]
    with wired(rig.settings) as wire:
        async with opened(colour, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            with at(Point("before", step, 1), lambda: _BROKEN[fault](wire.proxy(store_name))):
                committed = step == "postgres.commit" and fault.startswith("answer")
                error = await _fail_and_repeat(rig, wire, store, visible=3 if committed else 0)
    if step == "postgres.commit" and fault != "refusing":
        assert isinstance(error, OutcomeUnknown)
    else:
        assert isinstance(error, Unavailable)
        assert error.store == store_name


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("step", _STEPS)
async def test_another_object_with_the_key_of_a_save_whose_link_broke_is_the_same_record(
    rig: Rig, colour: str, step: str
) -> None:
    """After an answer was lost the same key, with new objects, gives exactly one record each, at once."""
    tenant = uuid4()
    with wired(rig.settings) as wire:
        async with opened(colour, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            proxy = wire.proxy(step.partition(".")[0])
            with at(Point("before", step, 1), lambda: proxy.cut("to_client")), pytest.raises(StorekitError):
                await save(store, tenant, three_notes("keyed"), "key")
            wire.heal()
            with observe() as steps:
                await save(store, tenant, three_notes("keyed"), "key")
    assert not steps.count("sleep")
    assert rig.reader.whole_records(tenant) == 3


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("step", ["s3.put", "mongo.insert"])
async def test_a_put_whose_answer_is_lost_once_is_asked_again_and_finds_its_own_bytes(
    rig: Rig, colour: str, step: str
) -> None:
    """An answer of S3 or MongoDB lost once: the save succeeds, and the bytes are there once."""
    tenant = uuid4()
    with wired(rig.settings) as wire:
        async with opened(colour, wire.settings) as store:
            await save(store, uuid4(), three_notes("warm"))
            proxy = wire.proxy(step.partition(".")[0])
            with at(Point("before", step, 1), lambda: proxy.cut("to_client", times=1)):
                await save(store, tenant, three_notes("lost once"))
    assert proxy.fault is None, "an answer was lost"
    assert rig.reader.whole_records(tenant) == 3
    assert rig.reader.stored(tenant) == (3, 3)


async def _fail_and_repeat(rig: Rig, wire: Wire, store: Store | AsyncStore, *, visible: int) -> StorekitError:
    tenant, objects, unheard = uuid4(), three_notes("broken"), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    error = await _failure(store, tenant, objects)
    assert rig.reader.whole_records(tenant) == visible
    wire.heal()
    await save(store, tenant, objects)
    assert rig.reader.whole_records(tenant) == 3
    assert rig.reader.writes(tenant, "pending") == 0
    assert unheard == []
    return error


async def _failure(store: Store | AsyncStore, tenant: Any, objects: Saved) -> StorekitError:
    began = time.monotonic()
    with pytest.raises(StorekitError) as caught:
        await save(store, tenant, objects)
    took = time.monotonic() - began
    assert took < _LONGEST, f"it took {took:.1f} s"
    assert caught.value.retryable
    return caught.value
