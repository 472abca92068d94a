"""A warm process that forks one writer for each order, so that a writer costs no imports and dies alone.

Run as a script: an order is a line of JSON on stdin, the writer's exit code (-9: killed) a line on stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import traceback
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import storekit.drivers.mongo.documents
import storekit.drivers.postgres.ledger
import storekit.drivers.s3.blobs  # noqa: F401  what a Store would import at its first save
from storekit import AsyncStore, Settings, Store
from storekit.testing.faults import Point, at
from tests.faults.colours import opened, save
from tests.faults.entities import ALL_REQUESTS
from tests.faults.units import KINDS, Work, import_feed


class ForkServer:
    """Starts writers that kill themselves at a point."""

    def __init__(self, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, **settings.to_env(), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def kill_at(self, point: Point, colour: str, request: str, tenant: UUID, key: str) -> int:
        """Let a new process save a request until `point`; answer its exit code."""
        order = [[point.when, point.step, point.ordinal], colour, request, str(tenant), key]
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


async def _write_and_die(point: list[Any], colour: str, request: str, tenant: str, key: str) -> None:
    async with opened(colour, Settings.from_env().model_copy(update={"pool_size": 1})) as store:
        with at(Point(*point), lambda: os.kill(os.getpid(), signal.SIGKILL)):
            await _perform(store, request, UUID(tenant), key)


async def _perform(store: Store | AsyncStore, request: str, tenant: UUID, key: str) -> None:
    if request == "import":
        await import_feed(store, tenant)
    elif request in KINDS:
        await KINDS[request](await Work(store, tenant).begin())
    else:
        await save(store, tenant, ALL_REQUESTS[request](request), key)


def _serve() -> None:
    for line in sys.stdin:
        writer = os.fork()
        if not writer:
            try:
                asyncio.run(_write_and_die(*json.loads(line)))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(writer, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
