"""A deployer in a process of its own, which a test can observe and kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import storekit_command
from tests.support.postgres import Database

# What a session of the deployer waits for, according to pg_stat_activity.
WAITS = "SELECT wait_event FROM pg_stat_activity WHERE usename = 'admin' AND datname = current_database()"


def storekit(
    database: Database, *arguments: str | Path, home: str | Path = "/"
) -> subprocess.CompletedProcess[str]:
    """Run a storekit command with the admin's URL only, by default in an unrelated directory."""
    return storekit_command(*arguments, environment=_environment(database), home=home)


@contextmanager
def deployer(database: Database, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `storekit migrate` with a line `own`; the process ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "storekit.cli", "migrate", "--line", f"own={directory}"],
        env=_environment(database),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def kill_when(process: subprocess.Popen[bytes], database: Database, wait_event: str) -> None:
    """Kill -9 the deployer once the server shows what it waits for; return when its session is gone."""
    while (wait_event,) not in database.ask(WAITS):
        assert process.poll() is None, process.communicate()
    process.kill()
    process.wait()
    with database.connect("postgres") as connection:
        # Granted when the session of the killed deployer has ended.
        connection.execute("SET statement_timeout = '30s'")
        connection.execute("SELECT pg_advisory_lock(hashtextextended('storekit.migrate', 0))")


def _environment(database: Database) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "POSTGRES_ADMIN_URL": database.url("admin")}
