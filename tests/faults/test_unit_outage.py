"""Units and batches whose link or server goes away in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit import AsyncStore, OutcomeUnknown, Settings, Store, StorekitError, Unavailable
from storekit.bridge import settle
from storekit.flows.write import bulk
from storekit.testing.faults import Point, at
from tests.faults.entities import Delivery, delivery
from tests.faults.rig import Rig
from tests.faults.units import KINDS, Work, unit
from tests.faults.wire import wired
from tests.support.adapters import COLOURS, opened, repository
from tests.support.proxy import Proxy

_LONELY: dict[str, Any] = {"pool_size": 1, "pool_min": 1}
_COMMIT = Point("before", "postgres.commit", 1)
_LOST: dict[str, Callable[[Proxy], None]] = {
    "question": lambda proxy: proxy.cut("to_server", times=1),
    "answer": lambda proxy: proxy.cut("to_client", times=1),
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", _LOST)
async def test_a_link_that_breaks_under_the_commit_of_a_unit_is_an_unknown_outcome(
    rig: Rig, colour: str, kind: str, lost: str
) -> None:
    """Whether it was committed or not, the same objects saved again find out and are one record each."""
    with wired(rig.settings, **_LONELY) as wire:
        async with opened(colour, wire.settings) as store:
            work = await Work(store, uuid4()).begin()
            with at(_COMMIT, lambda: _LOST[lost](wire.postgres)), pytest.raises(OutcomeUnknown) as error:
                await KINDS[kind](work)
            assert error.value.retryable
            whole = work.whole(own_sql=kind == "with own sql")
            assert rig.reader.records(work.tenant) == (whole if lost == "answer" else [])
            assert [each.version for each in work.objects] == [None] * len(work.objects)
            await KINDS[kind](work)
    assert rig.reader.records(work.tenant) == whole
    assert [each.version for each in work.objects] == [1] * len(work.objects)
    assert rig.reader.writes(work.tenant, "pending") == 0


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("lost", _LOST)
async def test_events_whose_first_insert_had_an_unknown_outcome_are_new_to_the_second(
    rig: Rig, colour: str, lost: str
) -> None:
    """insert_ignore answers each event as new once, though the call that committed it could not tell."""
    with wired(rig.settings, **_LONELY) as wire:
        async with opened(colour, wire.settings) as store:
            records = repository(store, uuid4(), Delivery)
            events = [delivery("a"), delivery("b")]
            with at(_COMMIT, lambda: _LOST[lost](wire.postgres)), pytest.raises(OutcomeUnknown):
                await settle(records.insert_ignore(events))
            assert await settle(records.insert_ignore(events)) == events
            assert await settle(records.insert_ignore([delivery("a")])) == []


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("point", [Point("before", f"postgres.{step}", 1) for step in ("begin", "flush")])
async def test_a_link_that_breaks_before_the_commit_leaves_nothing(
    rig: Rig, colour: str, point: Point
) -> None:
    """Unavailable, nothing visible, the only connection is healed, and the unit can be run again."""
    with wired(rig.settings, **_LONELY) as wire:
        async with opened(colour, wire.settings) as store:
            work = await Work(store, uuid4()).begin()
            with at(point, lambda: wire.postgres.cut("to_client", times=1)), pytest.raises(Unavailable):
                await work.with_own_sql()
            assert rig.reader.records(work.tenant) == []
            await work.with_own_sql()
    assert rig.reader.records(work.tenant) == work.whole(own_sql=True)
    assert rig.reader.writes(work.tenant, "pending") == 0


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_killed_backend_in_an_open_unit_is_retryable(rig: Rig, colour: str) -> None:
    """Who loses his backend between two statements gets a typed error at the next, and nothing is visible."""
    tenant = uuid4()
    async with opened(colour, rig.settings.model_copy(update=_LONELY)) as store:
        for ends in (_save, _commit, _swallow):
            with pytest.raises(StorekitError) as error:
                await _with_killed_backend(rig, store, tenant, ends)
            assert error.value.retryable, ends
        assert rig.reader.records(tenant) == []
        work = await Work(store, tenant).begin()
        await work.with_own_sql()
    assert rig.reader.records(tenant) == work.whole(own_sql=True)


async def _with_killed_backend(
    rig: Rig, store: Store | AsyncStore, tenant: UUID, then: Callable[[Any], Awaitable[None]]
) -> None:
    async with unit(store, tenant) as tx:
        tx.save(Delivery(title="never"))
        connection = await settle(tx.connection)
        with _server(rig.settings) as server:
            server.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        await then(tx)


async def _save(tx: Any) -> None:
    tx.save(Delivery(title="nor this"))
    await settle(tx.flush())


async def _commit(tx: Any) -> None:
    """Let the end of the unit find out."""


async def _swallow(tx: Any) -> None:
    with pytest.raises(psycopg.OperationalError):
        await settle((await settle(tx.connection)).execute("SELECT 1"))


@contextmanager
def _server(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    assert settings.postgres_url
    with psycopg.connect(settings.postgres_url.get_secret_value(), autocommit=True) as server:
        yield server


@pytest.fixture
def crash(rig: Rig) -> Iterator[Callable[[], None]]:
    """Let Postgres crash and recover: all its processes end, and it starts again by itself."""

    def kill() -> None:
        with _server(rig.settings) as server:
            os.kill(server.info.backend_pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                server.execute("SELECT 1")
        rig.reader.connect_again()

    yield kill
    rig.reader.connect_again()


_PATIENT: dict[str, Any] = {**_LONELY, "timeout": timedelta(seconds=20)}


@pytest.mark.parametrize("colour", COLOURS)
async def test_postgres_restarted_in_the_middle_of_a_unit(
    rig: Rig, colour: str, crash: Callable[[], None]
) -> None:
    """A unit with an open transaction ends retryable and leaves nothing; run again it succeeds."""
    async with opened(colour, rig.settings.model_copy(update=_PATIENT)) as store:
        work = await Work(store, uuid4()).begin()
        with at(Point("before", "postgres.flush", 1), crash), pytest.raises(Unavailable):
            await work.with_own_sql()
        assert rig.reader.records(work.tenant) == []
        await work.with_own_sql()
    assert rig.reader.records(work.tenant) == work.whole(own_sql=True)


@pytest.mark.parametrize("colour", ["sync", pytest.param("async", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "point",
    [
        Point("before", "postgres.stage", 2),
        Point("before", "postgres.begin", 1),
        Point("before", "postgres.flush", 2),
        _COMMIT,
    ],
)
async def test_postgres_restarted_in_the_middle_of_a_batch_of_several_chunks(
    rig: Rig, colour: str, point: Point, crash: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever chunk was under way: nothing visible, or healed unseen; the same call is right afterwards."""
    monkeypatch.setattr(bulk, "_MOST", 3)
    tenant, batch = uuid4(), [delivery(str(n)) for n in range(9)]
    whole = [("fault_deliveries", str(n), 1) for n in range(9)]
    async with opened(colour, rig.settings.model_copy(update=_PATIENT)) as store:
        records = repository(store, tenant, Delivery)
        with at(point, crash) as steps:
            failed = await _failure(records.save_many, batch)
        assert steps.hit
        assert rig.reader.records(tenant) == ([] if failed else whole), "retryable"
        await settle(records.save_many(batch))
    assert rig.reader.records(tenant) == whole
    assert rig.reader.writes(tenant, "pending") == 0


async def _failure(call: Callable[[list[Delivery]], Any], batch: list[Delivery]) -> bool:
    try:
        await settle(call(batch))
    except StorekitError as error:
        return error.retryable
    return False
