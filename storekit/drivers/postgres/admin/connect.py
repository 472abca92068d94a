"""The connection of the administrator, used by migrations, grants and catalog queries. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from storekit.drivers.postgres.encodings import other_encoding
from storekit.drivers.postgres.pool.endpoint import place, understood
from storekit.drivers.postgres.pool.logins import NO_TRIGGERS, TRIGGERS
from storekit.drivers.postgres.target import parse
from storekit.errors import ConfigurationError, StorekitError, Unavailable
from storekit.schema.lint import NO_TRANSACTION
from storekit.settings import Tls

# The SQLSTATE classes that may succeed when retried. psycopg's OperationalError is wider: 55P04, an enum
# value used in the transaction that added it, is an error of the file.
_RETRYABLE = {"08", "40", "53", "57", "58"}
_LOCK_TIMEOUT = "55P03"
_READ_ONLY = "25006"
PATH = "SET LOCAL search_path = pg_catalog, pg_temp"
PIN = """
SET search_path = pg_catalog, pg_temp;
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = off;
SET default_transaction_deferrable = off;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 1;
SET standard_conforming_strings = on;
SET quote_all_identifiers = off;
SET check_function_bodies = on;
SET array_nulls = on;
SET row_security = on;
SET jit = off;
SET statement_timeout = 0;
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';
"""
"""Sets what a migration and the catalog queries depend on, whatever the environment, login and database say.

Functions, operators, types and casts are those of Postgres: a login that may create objects in a schema of
the search_path could otherwise create overloads, which would run as the owner. Names of the catalog are
printed with their schema and without needless quotes. An index may take hours to build, so there is no
time-out; a `lock_timeout` is left as it is. `transaction_timeout` exists from Postgres 17 on.
"""
_VARIABLE = "POSTGRES_ADMIN_URL"
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
    keywords = parse(url, _VARIABLE, Tls.OPTIONAL)  # the caller has required TLS where it is needed
    try:
        connection = psycopg.connect(**keywords, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise _no_connection(error, place(keywords)) from error
    with connection:
        if why := other_encoding(connection.pgconn):
            raise ConfigurationError(f"{_VARIABLE} cannot be used: {why}")
        with explained("setting up the session"):
            connection.execute(PIN)
            if connection.execute(TRIGGERS).fetchone() == ("replica",):
                raise ConfigurationError(f"{_VARIABLE} cannot be used: {NO_TRIGGERS}")
        yield connection


def _no_connection(error: psycopg.OperationalError, where: str) -> StorekitError:
    refusal, cause = understood(error, str(error))
    if refusal:
        return ConfigurationError(f"postgres refused the login: {refusal}; check {_VARIABLE}", detail=where)
    detail = f"{where}: {cause}" if cause else where
    return Unavailable("postgres", f"no connection to {_VARIABLE}", step="postgres.migrate", detail=detail)


@contextmanager
def explained(doing: str, outcome: str = "was rolled back") -> Iterator[None]:
    """Turn an error of psycopg into one that names the action that failed and its outcome."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        lost = isinstance(error, psycopg.OperationalError) and not state  # the connection broke
        if lost or state[:2] in _RETRYABLE or state in {_LOCK_TIMEOUT, _READ_ONLY}:
            raise Unavailable("postgres", f"{doing}: {_reason(error)}", step="postgres.migrate") from error
        hint = error.diag.message_hint or _REMEDIES.get(state)
        what = f"{_reason(error)}; {hint}" if hint else _reason(error)
        raise ConfigurationError(f"{doing} failed and {outcome}: {what}") from error


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().splitlines()[-1]
