"""Move events in tests, and run a relay in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from tests.support.postgres import Database


def sequence(database: Database, limit: int = 10_000, margin: str = "0") -> dict[str, Any]:
    """Move events once, as the worker. Without a margin, as no other session begins meanwhile."""
    [(reply,)] = database.ask("SELECT storekit.sequence_v1(%s, %s)", limit, margin, login="worker")
    return dict(reply)


def bound(database: Database) -> datetime | None:
    """Move what can be moved, and return up to when the log is complete."""
    sequence(database)
    [(through,)] = database.ask("SELECT complete_through FROM storekit.event_head")
    return through if through is None or isinstance(through, datetime) else None


def begin(connection: psycopg.Connection[Any], tenant: UUID) -> datetime:
    """Begin a transaction of a tenant, and return when it began; nothing is written yet."""
    connection.execute("BEGIN")
    row = connection.execute(
        "SELECT set_config('storekit.tenant', %s, true), transaction_timestamp()", [str(tenant)]
    ).fetchone()
    assert row is not None
    since: datetime = row[1]
    return since


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not become true"
    return answer


@contextmanager
def relay_process(database: Database) -> Iterator[subprocess.Popen[bytes]]:
    """Run `storekit relay` until the end of the block, and wait until it works."""
    env = {**os.environ, "POSTGRES_WORKER_URL": database.url("worker")}
    process = subprocess.Popen(
        [sys.executable, "-m", "storekit.cli", "relay"], env=env, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"moving events")
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def expire_lease(database: Database) -> None:
    """Let the lease of a relay that was killed end now."""
    database.ask("UPDATE storekit.lease SET until = '-infinity'")
