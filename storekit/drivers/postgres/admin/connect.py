"""The admin's connection: who migrates, grants and asks the catalog. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from storekit.errors import ConfigurationError, Unavailable

# Of the classes that the driver calls operational some are the statement's own fault, such as 55P04.
_PASSING = {"08", "40", "53", "57", "58"}
_LOCK_TIMEOUT = "55P03"


def grant(admin_url: str, members: Mapping[str, Sequence[str]]) -> None:
    """Make logins members of group roles: `{"storekit_app": ["api"]}`."""
    with connect(admin_url) as connection, explained("granting roles"), connection.transaction():
        for role, logins in members.items():
            for login in logins:
                connection.execute(
                    sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login))
                )


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection]:
    """Open an autocommit connection."""
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
def explained(doing: str, outcome: str = "was rolled back") -> Iterator[None]:
    """Say of a failure what was being done, and what has become of it."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        lost = isinstance(error, psycopg.OperationalError) and not state
        if lost or state[:2] in _PASSING or state == _LOCK_TIMEOUT:
            raise Unavailable("postgres", f"{doing}: {_reason(error)}", step="postgres.migrate") from error
        hint = f"; {error.diag.message_hint}" if error.diag.message_hint else ""
        raise ConfigurationError(f"{doing} failed and {outcome}: {_reason(error)}{hint}") from error


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().splitlines()[-1]
