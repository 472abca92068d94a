"""Writer processes that kill themselves at a given step."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any
from uuid import UUID

import storekit.drivers.mongo.documents
import storekit.drivers.postgres.ledger
import storekit.drivers.s3.blobs  # noqa: F401  a Store imports these at its first save
from storekit import AsyncStore, Settings, Store
from storekit.testing.faults import Point, at
from tests.faults.entities import ALL_REQUESTS
from tests.faults.units import KEYED, Work, claim_jobs, import_feed
from tests.support.adapters import opened, save
from tests.support.fork_server import ForkServer


class Writers(ForkServer):
    """Starts writer processes of one store."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("tests.faults.writers:write_and_die", {**os.environ, **settings.to_env()})

    def kill_at(self, point: Point, api: str, request: str, tenant: UUID, key: str) -> int:
        """Let a new process save a request until `point`, and return its exit code."""
        return self.call([point.when, point.step, point.ordinal], api, request, str(tenant), key)


def write_and_die(point: list[Any], api: str, request: str, tenant: str, key: str) -> None:
    """Save a request, and kill this process at the point."""
    asyncio.run(_write(Point(*point), api, request, UUID(tenant), key))


async def _write(point: Point, api: str, request: str, tenant: UUID, key: str) -> None:
    async with opened(api, Settings.from_env().model_copy(update={"pool_size": 1})) as store:
        with at(point, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            await _perform(store, request, tenant, key)


async def _perform(store: Store | AsyncStore, request: str, tenant: UUID, key: str) -> None:
    if request == "claim":
        await claim_jobs(store, tenant)
    elif request == "import":
        await import_feed(store, tenant)
    elif request in KEYED:
        await KEYED[request](await Work(store, tenant, key or None).begin())
    else:
        await save(store, tenant, ALL_REQUESTS[request](request), key)
