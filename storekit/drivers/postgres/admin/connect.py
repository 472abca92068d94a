"""The connection of the administrator, used by migrations, grants and catalog queries. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from storekit.errors import ConfigurationError, Unavailable
from storekit.schema.lint import NO_TRANSACTION

# The SQLSTATE classes that may succeed when retried. psycopg's OperationalError is wider: 55P04, an enum
# value used in the transaction that added it, is an error of the file.
_RETRYABLE = {"08", "40", "53", "57", "58"}
_LOCK_TIMEOUT = "55P03"
_REMEDIES = {"25001": f"write it in a file of its own, whose first line is {NO_TRANSACTION}"}
"""The next step for errors without a hint of Postgres: 25001, a statement cannot run in a transaction."""


def grant(admin_url: str, members: Mapping[str, Sequence[str]]) -> None:
    """Grant group roles to logins, such as `{"storekit_app": ["api"]}`, and the right to connect."""
    with connect(admin_url) as connection, explained("granting roles"), connection.transaction():
        database = sql.Identifier(connection.info.dbname)
        for role, logins in members.items():
            for login in map(sql.Identifier, logins):
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), login))
                connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, login))


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection]:
    """Open an autocommit connection."""
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unavailable("postgres", _reason(error), step="postgres.migrate") from error
    except psycopg.Error:
        # psycopg's message can quote the URL and its password, so it is dropped, as is the exception itself.
        raise ConfigurationError(
            "POSTGRES_ADMIN_URL cannot be parsed; it must be postgresql://login:password@host:port/database"
        ) from None
    with connection:
        # whatever PGTZ, PGDATESTYLE or the role say: a migration must mean the same everywhere, and psycopg
        # reads times in this style only
        connection.execute("SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'")
        yield connection


@contextmanager
def explained(doing: str, outcome: str = "was rolled back") -> Iterator[None]:
    """Turn an error of psycopg into one that names the action that failed and its outcome."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        lost = isinstance(error, psycopg.OperationalError) and not state  # the connection broke
        if lost or state[:2] in _RETRYABLE or state == _LOCK_TIMEOUT:
            raise Unavailable("postgres", f"{doing}: {_reason(error)}", step="postgres.migrate") from error
        hint = error.diag.message_hint or _REMEDIES.get(state)
        what = f"{_reason(error)}; {hint}" if hint else _reason(error)
        raise ConfigurationError(f"{doing} failed and {outcome}: {what}") from error


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().splitlines()[-1]
