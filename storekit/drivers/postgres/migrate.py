"""The migration runner: numbered files, each once, each in one transaction with its record.

Blocking; both colours call it from a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import psycopg
from psycopg import sql

from storekit import schemas
from storekit.errors import ConfigurationError, Unavailable
from storekit.lines import Line

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_OLDEST = 150000
_LOCK = "SELECT pg_advisory_lock(hashtextextended('storekit.migrate', 0))"
_SCOPE = (
    "SET LOCAL ROLE storekit_owner; SET LOCAL row_security = off; SET LOCAL search_path = public, pg_temp"
)
_RECORD = "INSERT INTO storekit.migration (line, number, name, sha256) VALUES (%s, %s, %s, %s)"
# Asked of the catalog: before the first migration the login may not look into the schema.
_HAS_HISTORY = "SELECT FROM pg_tables WHERE schemaname = 'storekit' AND tablename = 'migration'"
_HISTORY = "SELECT line, number, name, sha256, applied_on FROM storekit.migration"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of a line."""

    line: str
    number: int
    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        """Hash what Postgres is sent, so that a checkout's line ends do not count."""
        return sha256(self.text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Status:
    """A migration and when it was applied; None means pending."""

    line: str
    number: int
    name: str
    applied_on: datetime | None


def migrate(admin_url: str, lines: Sequence[Line]) -> list[Migration]:
    """Apply what is pending, line by line, and answer it. A second deployer waits for the first.

    Raises:
        ConfigurationError: a past file was edited, renamed or lost; a file failed (nothing of it stays);
            the login may not become the owner.
        Unavailable: Postgres cannot be reached.
    """
    files = read(lines)
    with connect(admin_url) as connection:
        connection.execute(_LOCK)
        _bootstrap(connection)
        pending = _pending(files, _history(connection))
        for migration in pending:
            _apply(connection, migration)
    return pending


def status(admin_url: str, lines: Sequence[Line]) -> list[Status]:
    """Tell of each migration when it was applied; change nothing."""
    files = read(lines)
    with connect(admin_url) as connection:
        history = _history(connection)
    _pending(files, history)
    return [
        Status(f.line, f.number, f.name, history.get((f.line, f.number), (None, None, None))[2])
        for f in files
    ]


def grant(admin_url: str, members: Mapping[str, Sequence[str]]) -> None:
    """Make logins members of group roles: `{"storekit_app": ["api"]}`."""
    with connect(admin_url) as connection, _explained("granting roles"), connection.transaction():
        for role, logins in members.items():
            for login in logins:
                connection.execute(
                    sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login))
                )


def read(lines: Sequence[Line]) -> list[Migration]:
    """Read the files of all lines in their order; a gap or a stray name is refused."""
    return [migration for line in lines for migration in _read_line(line)]


def _read_line(line: Line) -> Iterator[Migration]:
    names = sorted(f.name for f in line.directory.iterdir() if f.name.endswith(".sql"))
    for expected, name in enumerate(names, 1):
        match = _FILE.fullmatch(name)
        if match is None or int(match[1]) != expected:
            raise ConfigurationError(
                f"line {line.name}: found {name} where number {expected:04} belongs; "
                "files are named NNNN_what.sql and numbered from 0001 without gaps"
            )
        text = (line.directory / name).read_text(encoding="utf-8")
        yield Migration(line.name, expected, match[2], text)


_History = dict[tuple[str, int], tuple[str, bytes, datetime]]


def _history(connection: psycopg.Connection) -> _History:
    with _explained("reading the record of migrations"), connection.transaction():
        if connection.execute(_HAS_HISTORY).fetchone() is None:
            return {}
        connection.execute("SET LOCAL ROLE storekit_owner")
        rows = connection.execute(_HISTORY).fetchall()
    return {(line, number): (name, digest, on) for line, number, name, digest, on in rows}


def _pending(files: Sequence[Migration], history: _History) -> list[Migration]:
    known = {(f.line, f.number): f for f in files}
    present = {f.line for f in files}
    for (line, number), (name, digest, _) in sorted(history.items()):
        past = f"{line} {number:04}_{name}.sql"
        file = known.get((line, number))
        if file is None and line in present:
            raise ConfigurationError(f"past migration {past} is missing; restore the file")
        if file is not None and file.name != name:
            raise ConfigurationError(f"past migration {past} was renamed to {file.name}; restore its name")
        if file is not None and file.sha256 != digest:
            raise ConfigurationError(
                f"past migration {past} was edited; restore it and write the change as a new file"
            )
    return [f for f in files if (f.line, f.number) not in history]


def _bootstrap(connection: psycopg.Connection) -> None:
    version = connection.info.server_version
    if version < _OLDEST:
        raise ConfigurationError(f"postgres is version {version // 10000}; storekit needs 15 or newer")
    text = (schemas.root() / "postgres" / "bootstrap.sql").read_text(encoding="utf-8")
    with _explained("setting up roles and schema"), connection.transaction():
        connection.execute(text.encode())


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    title = f"{migration.line} {migration.number:04}_{migration.name}.sql"
    with _explained(f"migration {title}"), connection.transaction():
        connection.execute(_SCOPE)
        connection.execute(migration.text.encode())
        connection.execute("SET LOCAL ROLE storekit_owner")
        connection.execute(_RECORD, (migration.line, migration.number, migration.name, migration.sha256))


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection]:
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unavailable("postgres", _reason(error), step="postgres.migrate") from error
    except psycopg.Error:
        # The driver's own message can quote the URL, and with it the password: it is not passed on.
        raise ConfigurationError(
            "the admin URL of postgres cannot be parsed; check POSTGRES_ADMIN_URL"
        ) from None
    with connection:
        yield connection


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise Unavailable("postgres", f"{doing}: {_reason(error)}", step="postgres.migrate") from error
    except psycopg.Error as error:
        hint = f"; {error.diag.message_hint}" if error.diag.message_hint else ""
        raise ConfigurationError(f"{doing} failed and was rolled back: {_reason(error)}{hint}") from error


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().splitlines()[-1]
