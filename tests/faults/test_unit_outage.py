"""Units of work and batches whose connection or server fails."""

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
from tests.faults.entities import hit
from tests.faults.servers import Servers
from tests.faults.units import KINDS, Work, unit
from tests.faults.wire import wired
from tests.support.adapters import APIS, opened, repository
from tests.support.entities import Hit
from tests.support.proxy import Proxy

_ONE_CONNECTION: dict[str, Any] = {"pool_size": 1, "pool_min": 1}
_COMMIT = Point("before", "postgres.commit", 1)
_LOST: dict[str, Callable[[Proxy], None]] = {
    "request": lambda proxy: proxy.cut("to_server", times=1),
    "reply": lambda proxy: proxy.cut("to_client", times=1),
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", _LOST)
async def test_a_connection_that_breaks_during_commit_is_an_unknown_outcome(
    servers: Servers, api: str, kind: str, lost: str
) -> None:
    """Whether it committed or not, saving the same objects again gives one record each."""
    with wired(servers.settings, **_ONE_CONNECTION) as wire:
        async with opened(api, wire.settings) as store:
            work = await Work(store, uuid4()).begin()
            with at(_COMMIT, lambda: _LOST[lost](wire.postgres)), pytest.raises(OutcomeUnknown) as error:
                await KINDS[kind](work)
            assert error.value.retryable
            expected = work.expected(own_sql=kind == "with own sql")
            assert servers.reader.records(work.tenant) == (expected if lost == "reply" else [])
            assert [each.version for each in work.objects] == [None] * len(work.objects)
            await KINDS[kind](work)
    assert servers.reader.records(work.tenant) == expected
    assert [each.version for each in work.objects] == [1] * len(work.objects)
    assert servers.reader.writes(work.tenant, "pending") == 0


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("lost", _LOST)
async def test_insert_ignore_after_an_unknown_outcome(servers: Servers, api: str, lost: str) -> None:
    """insert_ignore returns each event as new once, even if the committing call raised OutcomeUnknown."""
    with wired(servers.settings, **_ONE_CONNECTION) as wire:
        async with opened(api, wire.settings) as store:
            records = repository(store, uuid4(), Hit)
            events = [hit("a"), hit("b")]
            with at(_COMMIT, lambda: _LOST[lost](wire.postgres)), pytest.raises(OutcomeUnknown):
                await settle(records.insert_ignore(events))
            assert await settle(records.insert_ignore(events)) == events
            assert await settle(records.insert_ignore([hit("a")])) == []


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("point", [Point("before", f"postgres.{step}", 1) for step in ("begin", "flush")])
async def test_a_connection_that_breaks_before_the_commit(servers: Servers, api: str, point: Point) -> None:
    """Raises Unavailable; nothing is visible, the connection is replaced, and the unit can be run again."""
    with wired(servers.settings, **_ONE_CONNECTION) as wire:
        async with opened(api, wire.settings) as store:
            work = await Work(store, uuid4()).begin()
            with at(point, lambda: wire.postgres.cut("to_client", times=1)), pytest.raises(Unavailable):
                await work.with_own_sql()
            assert servers.reader.records(work.tenant) == []
            await work.with_own_sql()
    assert servers.reader.records(work.tenant) == work.expected(own_sql=True)
    assert servers.reader.writes(work.tenant, "pending") == 0


@pytest.mark.parametrize("api", APIS)
async def test_a_killed_backend_in_an_open_unit_is_retryable(servers: Servers, api: str) -> None:
    """If the backend is killed between two statements, the next raises a typed error; nothing is visible."""
    tenant = uuid4()
    async with opened(api, servers.settings.model_copy(update=_ONE_CONNECTION)) as store:
        for ends in (_save, _commit, _swallow):
            with pytest.raises(StorekitError) as error:
                await _with_killed_backend(servers, store, tenant, ends)
            assert error.value.retryable, ends
        assert servers.reader.records(tenant) == []
        work = await Work(store, tenant).begin()
        await work.with_own_sql()
    assert servers.reader.records(tenant) == work.expected(own_sql=True)


async def _with_killed_backend(
    servers: Servers, store: Store | AsyncStore, tenant: UUID, then: Callable[[Any], Awaitable[None]]
) -> None:
    async with unit(store, tenant) as tx:
        tx.save(Hit(external_id="never"))
        connection = await settle(tx.connection)
        with _server(servers.settings) as server:
            server.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        await then(tx)


async def _save(tx: Any) -> None:
    tx.save(Hit(external_id="nor this"))
    await settle(tx.flush())


async def _commit(tx: Any) -> None:
    """Leave it to the commit to detect that the backend is gone."""


async def _swallow(tx: Any) -> None:
    with pytest.raises(psycopg.OperationalError):
        await settle((await settle(tx.connection)).execute("SELECT 1"))


@contextmanager
def _server(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    assert settings.postgres_url
    with psycopg.connect(settings.postgres_url.get_secret_value(), autocommit=True) as server:
        yield server


@pytest.fixture
def crash(servers: Servers) -> Iterator[Callable[[], None]]:
    """Crash Postgres: all its processes end, and it recovers and starts again by itself."""

    def kill() -> None:
        with _server(servers.settings) as server:
            os.kill(server.info.backend_pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                server.execute("SELECT 1")
        servers.reader.connect_again()

    yield kill
    servers.reader.connect_again()


_LONG_WAIT: dict[str, Any] = {**_ONE_CONNECTION, "timeout": timedelta(seconds=20)}


@pytest.mark.parametrize("api", APIS)
async def test_postgres_restarts_during_a_unit(servers: Servers, api: str, crash: Callable[[], None]) -> None:
    """A unit with an open transaction raises a retryable error and leaves nothing; run again it succeeds."""
    async with opened(api, servers.settings.model_copy(update=_LONG_WAIT)) as store:
        work = await Work(store, uuid4()).begin()
        with at(Point("before", "postgres.flush", 1), crash), pytest.raises(Unavailable):
            await work.with_own_sql()
        assert servers.reader.records(work.tenant) == []
        await work.with_own_sql()
    assert servers.reader.records(work.tenant) == work.expected(own_sql=True)


@pytest.mark.parametrize("api", ["sync", pytest.param("async", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "point",
    [
        Point("before", "postgres.stage", 2),
        Point("before", "postgres.begin", 1),
        Point("before", "postgres.flush", 2),
        _COMMIT,
    ],
)
async def test_postgres_restarts_during_a_batch(
    servers: Servers, api: str, point: Point, crash: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever chunk is in progress, nothing is visible or the call recovers; a retry is correct."""
    monkeypatch.setattr(bulk, "_MOST", 3)
    tenant, batch = uuid4(), [hit(str(n)) for n in range(9)]
    expected = [("hits", str(n), 1) for n in range(9)]
    async with opened(api, servers.settings.model_copy(update=_LONG_WAIT)) as store:
        records = repository(store, tenant, Hit)
        with at(point, crash) as steps:
            failed = await _failure(records.save_many, batch)
        assert steps.hit
        assert servers.reader.records(tenant) == ([] if failed else expected), "retryable"
        await settle(records.save_many(batch))
    assert servers.reader.records(tenant) == expected
    assert servers.reader.writes(tenant, "pending") == 0


async def _failure(call: Callable[[list[Hit]], Any], batch: list[Hit]) -> bool:
    try:
        await settle(call(batch))
    except StorekitError as error:
        return error.retryable
    return False
