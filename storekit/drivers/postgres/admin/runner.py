"""The migration runner: applies numbered files once each, line by line, in order.

Blocking; the async API calls it in a thread.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg

from storekit.drivers.postgres.admin.apply import apply
from storekit.drivers.postgres.admin.connect import connect, explained, grant
from storekit.drivers.postgres.admin.lock import WAIT, lock
from storekit.drivers.postgres.admin.trust import refuse_creators, refuse_overloads
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.errors import ConfigurationError, UsageError
from storekit.schema import files
from storekit.schema.lines import Line, Migration, read

__all__ = ["Status", "connect", "grant", "migrate", "status"]

# From the catalog: before the first migration the login has no USAGE on the schema.
_HAS_HISTORY = "SELECT FROM pg_tables WHERE schemaname = 'storekit' AND tablename = 'migration'"
# A released file never changes: a record that differs was written before the first release.
_UNRELEASED = (
    "this database was created with an unreleased version of storekit and cannot be migrated; "
    "create a new database (embedded servers: use a new directory)"
)
_HISTORY = "SELECT line, number, name, sha256, applied_on, applied_by FROM storekit.migration"


@dataclass(frozen=True, slots=True)
class Status:
    """A migration, when it was applied and by which login; both are None while it is pending."""

    line: str
    number: int
    name: str
    applied_on: datetime | None
    applied_by: str | None


class _Past(NamedTuple):
    name: str
    sha256: bytes
    applied_on: datetime
    applied_by: str


_History = Mapping[tuple[str, int], _Past]


def migrate(
    admin_url: str,
    lines: Sequence[Line],
    *,
    to: tuple[str, int] | None = None,
    dry_run: bool = False,
    wait: timedelta = WAIT,
) -> list[Migration]:
    """Apply pending migrations, line by line, and return them. A second deployer waits for the first.

    Args:
        to: line and number of the file to stop after.
        dry_run: change nothing; return the migrations that would be applied.
        wait: how long to wait for another deployer.

    Raises:
        ConfigurationError: an applied file was edited, renamed or removed; a file failed and was rolled back;
            the login cannot SET ROLE storekit_owner; migrations after `to` are already applied; another role
            may create objects in a schema of storekit or its entities.
        UsageError: `to` does not name a file.
        Unavailable: Postgres cannot be reached or is read-only, or another deployer did not end in time.
    """
    files = read(lines)
    wanted = files if to is None else files[: _position(files, *to)]
    with connect(admin_url) as connection:
        if not dry_run:
            lock(connection, wait)
            _bootstrap(connection)
            refuse_creators(connection)
        history = _history(connection)
        pending = _pending(files, history, lines)
        if to is not None:
            _check_target(history, *to)
        pending = [migration for migration in pending if migration in wanted]
        if not dry_run:
            _apply(connection, pending, {line.name for line in lines if line.shipped})
    return pending


def _apply(connection: psycopg.Connection, pending: Sequence[Migration], shipped: Container[str]) -> None:
    if any(migration.line not in shipped for migration in pending):
        refuse_overloads(connection)
    for migration in pending:
        apply(connection, migration, shipped=migration.line in shipped)
    if pending:
        refuse_creators(connection)  # also in the schemas of the tables that are managed since


def status(admin_url: str, lines: Sequence[Line]) -> list[Status]:
    """Return when and by whom each migration was applied. Changes nothing.

    Recorded migrations of other lines come last.
    """
    files = read(lines)
    with connect(admin_url) as connection:
        history = _history(connection)
    _pending(files, history, lines)
    names = {(file.line, file.number): file.name for file in files}
    names |= {key: past.name for key, past in sorted(history.items()) if key not in names}
    return [Status(*key, name, *_applied(history.get(key))) for key, name in names.items()]


def _applied(past: _Past | None) -> tuple[datetime | None, str | None]:
    return (past.applied_on, past.applied_by) if past else (None, None)


def _history(connection: psycopg.Connection) -> _History:
    with explained("reading the record of migrations"), connection.transaction():
        if connection.execute(_HAS_HISTORY).fetchone() is None:
            return {}
        connection.execute("SET LOCAL ROLE storekit_owner")
        rows = connection.execute(_HISTORY).fetchall()
    return {(line, number): _Past(*past) for line, number, *past in rows}


def _pending(files: Sequence[Migration], history: _History, lines: Sequence[Line]) -> list[Migration]:
    shipped = {line.name for line in lines if line.shipped}
    known = {(f.line, f.number): f for f in files}
    present = {f.line for f in files}
    for (line, number), past in sorted(history.items()):
        title = f"past migration {line} {number:04}_{past.name}.sql"
        file = known.get((line, number))
        if file is None and line in present:
            fact, remedy = "is missing", "restore the file"
        elif file is not None and file.name != past.name:
            fact, remedy = f"was renamed to {file.name}", "restore its name"
        elif file is not None and file.sha256 != past.sha256:
            fact, remedy = "was edited", "restore it and write the change as a new file"
        else:
            continue
        raise ConfigurationError(f"{title} {fact}; {_UNRELEASED if line in shipped else remedy}")
    return [f for f in files if (f.line, f.number) not in history]


def _position(files: Sequence[Migration], line: str, number: int) -> int:
    """Return the number of files up to and including the one to stop after."""
    for position, file in enumerate(files, 1):
        if (file.line, file.number) == (line, number):
            return position
    last = max((file.number for file in files if file.line == line), default=0)
    raise UsageError(f"migration {line} {number:04} does not exist; the line has {last} file(s)")


def _check_target(history: _History, line: str, number: int) -> None:
    last = max((done for name, done in history if name == line), default=0)
    if number < last:
        raise ConfigurationError(
            f"line {line} is at {last:04}, past {number:04}; migrations cannot be undone, write a new one"
        )


def _bootstrap(connection: psycopg.Connection) -> None:
    if why := unsupported(connection.info.server_version):
        raise ConfigurationError(f"unsupported PostgreSQL: {why}")
    text = (files.root() / "postgres" / "bootstrap.sql").read_text(encoding="utf-8")
    with explained("setting up roles and schema"), connection.transaction():
        connection.execute(text.encode())
