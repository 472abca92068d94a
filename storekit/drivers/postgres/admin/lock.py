"""The lock that lets one deployer at a time migrate a database."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import psycopg

from storekit.drivers.postgres.admin.connect import explained
from storekit.errors import Unavailable

WAIT = timedelta(minutes=5)
"""How long `migrate` waits for another deployer."""
_PATIENCE = 5.0
"""Seconds of waiting after which a warning is logged."""
_LOG = logging.getLogger("storekit.migrate")
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('storekit.migrate', 0))"
# Postgres shows the start of a session only to its own login, to members of that role and of
# pg_read_all_stats.
_HOLDER = """
SELECT format('the session with pid %s of login %s', l.pid, coalesce(a.usename::text, 'unknown'))
       || coalesce(to_char(a.backend_start, '", connected since" YYYY-MM-DD HH24:MI:SS "UTC"'), '')
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('storekit.migrate', 0)"""


def lock(connection: psycopg.Connection, wait: timedelta) -> None:
    """Wait until no other deployer is migrating.

    The lock belongs to the session, so it ends with the connection, whatever happens. It is polled: a
    statement that waited for it would hold a snapshot, and CREATE INDEX CONCURRENTLY of the other deployer
    waits until all older snapshots are gone, which would be a deadlock. Any login of the database can take
    the lock, so the wait has a limit, and the holder is named.

    Raises:
        Unavailable: another session held the lock for all of `wait`.
    """
    began, warned = time.monotonic(), False
    with explained("waiting for other deployers"):
        while connection.execute(_LOCK).fetchone() != (True,):
            waited = time.monotonic() - began
            if waited >= wait.total_seconds():
                raise Unavailable(
                    "postgres",
                    f"migrate waited {waited:.0f} s for its lock, which {_holder(connection)} holds; call "
                    "migrate again when that deployment has ended, or end the session: "
                    "SELECT pg_terminate_backend(pid)",
                    step="postgres.migrate",
                )
            if waited >= _PATIENCE and not warned:
                warned = True
                _LOG.warning("migrate waits for its lock, which %s holds", _holder(connection))
            time.sleep(0.1)


def _holder(connection: psycopg.Connection) -> str:
    found = connection.execute(_HOLDER).fetchone()
    return str(found[0]) if found else "another session"
