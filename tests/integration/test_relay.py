"""A relay beside the program: it moves events at once, and ends with its block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from storekit import AsyncStore, ConfigurationError, Settings, Store, UsageError, ValidationError, render
from storekit.bridge import settle
from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.errors import NotSequenced
from storekit.schema.lines import core
from tests.support.commands import storekit_command
from tests.support.entities import ENTITIES, Run
from tests.support.postgres import MEMBERS, Database, migrated_database, write_line
from tests.support.sequencing import until


@pytest.fixture(scope="module")
def log(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Create a database with the tables of the entities, and no relay."""
    with migrated_database(cluster) as database:
        line = write_line(tmp_path_factory.mktemp("relay") / "app", "app", render(*ENTITIES))
        migrate(database.url("admin"), [core(), line])
        grant(database.url("admin"), MEMBERS)
        yield database


def settings(database: Database) -> Settings:
    return Settings.model_validate(
        {"postgres_url": database.url("app"), "postgres_worker_url": database.url("worker")}
    )


@asynccontextmanager
async def opened(api: str, found: Settings) -> AsyncIterator[Any]:
    store = Store.open(found) if api == "sync" else AsyncStore.open(found)
    try:
        yield store
    finally:
        await settle(store.close())


@asynccontextmanager
async def relaying(store: Any) -> AsyncIterator[None]:
    if isinstance(store, Store):
        with store.relay():
            yield
    else:
        async with store.relay():
            yield


@pytest.mark.parametrize("api", ["sync", "async"])
async def test_what_is_saved_is_in_the_log(log: Database, api: str) -> None:
    """wait_for returns when the event of a saved record has a position; so do save, unit and transition."""
    async with opened(api, settings(log)) as store, relaying(store):
        acme = store.scope(tenant=uuid4(), actor="user:ada")
        run = await settle(acme.repository(Run).save(Run(name="a")))
        first = await settle(acme.wait_for(run))
        tx = acme.transaction()
        if api == "sync":
            with tx:
                tx.update(Run, run.ref_id, {"score": 1})
        else:
            async with tx:
                tx.update(Run, run.ref_id, {"score": 1})
        changed = await settle(acme.repository(Run).get(run.ref_id))
        assert await settle(acme.wait_for(changed)) > first
    rows = log.ask("SELECT seq, type FROM storekit.event WHERE ref_id = %s ORDER BY pos", run.ref_id)
    assert rows == [(1, "runs.created"), (2, "runs.updated")]


@pytest.mark.parametrize("api", ["sync", "async"])
async def test_wait_for_takes_a_position_or_a_time(log: Database, api: str) -> None:
    """wait_for ends when the log has a position, or is complete up to an instant."""
    async with opened(api, settings(log)) as store, relaying(store):
        acme = store.scope(tenant=uuid4(), actor="user:ada")
        run = await settle(acme.repository(Run).save(Run(name="a")))
        position = await settle(acme.wait_for(run))
        assert await settle(acme.wait_for(position)) >= position
        at = datetime.now(UTC)
        await settle(acme.wait_for(at, timeout=30))
        [(through,)] = log.ask("SELECT complete_through FROM storekit.event_head")
        assert through >= at


async def test_without_a_relay_waiting_ends(log: Database) -> None:
    """Without a relay, wait_for raises NotSequenced after its time, with how far the log is; writes go on."""
    async with opened("sync", settings(log)) as store:
        acme = store.scope(tenant=uuid4(), actor="user:ada")
        run = acme.repository(Run).save(Run(name="a"))
        for target in (run, 10**9, datetime.now(UTC) + timedelta(days=1)):
            with pytest.raises(NotSequenced, match="run storekit doctor") as error:
                acme.wait_for(target, timeout=0)
            assert error.value.retryable
            assert error.value.position < 10**9
        for wrong in (Run(name="b"), "1", True, None):
            with pytest.raises(UsageError):
                acme.wait_for(wrong)
        with pytest.raises(ValidationError):
            acme.wait_for(datetime(2026, 1, 1))
        with pytest.raises(ValidationError):
            acme.wait_for(1, timeout=-1)


async def test_a_relay_needs_the_worker(log: Database) -> None:
    """Without POSTGRES_WORKER_URL, entering a relay raises ConfigurationError."""
    store = Store.open(Settings.model_validate({"postgres_url": log.url("app")}))
    with store, pytest.raises(ConfigurationError, match="POSTGRES_WORKER_URL"), store.relay():
        pass


@pytest.mark.parametrize("api", ["sync", "async"])
async def test_a_relay_ends_with_its_block(log: Database, api: str) -> None:
    """After the block the lease is free, and no thread or task of the relay is left."""
    before = set(threading.enumerate())
    async with opened(api, settings(log)) as store:
        async with relaying(store):
            await asyncio.to_thread(
                until, lambda: log.ask("SELECT 1 FROM storekit.lease WHERE until > storekit.now()")
            )
        assert not log.ask("SELECT 1 FROM storekit.lease WHERE until > storekit.now()")
        assert not [each for each in set(threading.enumerate()) - before if each.name == "storekit-relay"]
        assert not [each for each in asyncio.all_tasks() if each.get_name() == "storekit-relay"]


def test_an_embedded_store_numbers_events(tmp_path: Path) -> None:
    """In an embedded store events are numbered without starting anything, and it is complete up to now."""
    with Store.embedded(tmp_path / "data", [Run]) as store:
        acme = store.scope(tenant=uuid4(), actor="user:ada")
        run = acme.repository(Run).save(Run(name="a"))
        assert acme.wait_for(run) == 1
        acme.wait_for(datetime.now(UTC), timeout=30)


def test_doctor_has_exit_codes(log: Database) -> None:
    """doctor ends with 0 if all is well, 1 if somebody must act, and 2 if it could not look."""
    with psycopg.connect(log.url("postgres"), autocommit=True) as connection:
        connection.execute("UPDATE storekit.lease SET heartbeat = heartbeat - interval '1 hour'")
    environment = {"POSTGRES_WORKER_URL": log.url("worker")}
    late = storekit_command("doctor", environment=environment)
    assert late.returncode == 1, late.stdout
    assert "wrong  sequencer" in late.stdout
    with Store.open(settings(log)) as store, store.relay():
        acme = store.scope(tenant=uuid4(), actor="user:ada")
        acme.wait_for(datetime.now(UTC), timeout=30)
        well = storekit_command("doctor", environment=environment)
    assert well.returncode == 0, well.stdout
    assert well.stdout.startswith("ok     sequencer")
    away = storekit_command(
        "doctor", environment={"POSTGRES_WORKER_URL": "postgresql://worker@127.0.0.1:1/x"}
    )
    assert away.returncode == 2, away.stderr
    assert "127.0.0.1:1" in away.stderr  # for operators
