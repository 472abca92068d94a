"""Apply one migration file and record it.

The file and its record share one transaction. A file marked `no-transaction` (CREATE INDEX CONCURRENTLY, for
example) runs alone and is recorded afterwards, so it must be able to run a second time.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors, sql

from storekit.drivers.postgres.admin.connect import PATH, PIN, explained
from storekit.errors import ConfigurationError
from storekit.schema.lines import Migration
from storekit.schema.lint import concurrent_index, is_marked, transaction_end

_OWNER = "SET LOCAL ROLE storekit_owner"
# row_security = off turns a silent no-op into an error: under FORCE ROW LEVEL SECURITY the owner sees no
# rows, so a backfill would change nothing and a new foreign key over violating rows would be marked as valid.
# A file that has to see rows lifts FORCE itself, and `_LIFTED` finds tables on which it was not restored.
_SCOPE = f"{_OWNER}; SET LOCAL row_security = off"
# The files of a user may name tables of schema public without the schema; `refuse_overloads` has checked that
# it contains no function of another role that such a file would call in place of one of Postgres.
_PUBLIC_PATH = "SET LOCAL search_path = public, pg_temp"
_RECORD = "INSERT INTO storekit.migration (line, number, name, sha256) VALUES (%s, %s, %s, %s)"
_LIFTED = """
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text)
    FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    WHERE p.polname = 'tenant' AND c.relowner = 'storekit_owner'::regrole
      AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"""
_INDEX = """
    SELECT i.indisvalid, n.nspname, c.relname
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relname = (parse_ident(%(name)s))[1]::name AND i.indrelid = to_regclass(
        CASE cardinality(parse_ident(%(table)s)) WHEN 1 THEN 'public.' ELSE '' END || %(table)s)"""


def apply(connection: psycopg.Connection, migration: Migration, *, shipped: bool) -> None:
    """Apply a file as the owner, and record it.

    Args:
        shipped: whether the file is one of storekit's. Such a file names all schemas, and runs with the
            functions of Postgres alone.

    Raises:
        ConfigurationError: the file failed and was rolled back. A file that runs without a transaction may
            leave an invalid index behind, which is dropped before the file runs again.
    """
    with explained(f"preparing {migration}", "was not recorded"):
        _reset_session(connection)
    scope = f"{_SCOPE}; {PATH if shipped else _PUBLIC_PATH}"
    if is_marked(migration.text):
        _run_alone(connection, migration, scope)
        with explained(f"recording {migration}"), connection.transaction():
            _record(connection, migration)
        return
    if line := transaction_end(migration.text):
        raise ConfigurationError(
            f"migration {migration}: line {line} ends the transaction that the file shares with its record; "
            "remove it"
        )
    with explained(f"migration {migration}"), connection.transaction():
        connection.execute(scope.encode())
        connection.execute(migration.text.encode())
        _record(connection, migration)


def _reset_session(connection: psycopg.Connection) -> None:
    """Undo settings of the previous file, so that each file starts as if it ran on a new connection."""
    connection.execute(f"RESET ROLE; RESET ALL; {PIN}".encode())
    # A statement of a killed deployer must not run on for hours. Only some platforms can detect the closed
    # socket; on others the server refuses the setting.
    with suppress(errors.InvalidParameterValue):
        connection.execute("SET client_connection_check_interval = '1s'")


def _record(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute(f"{_OWNER}; {PATH}".encode())
    lifted = connection.execute(_LIFTED).fetchone()
    if lifted is not None and lifted[0]:
        raise ConfigurationError(
            f"migration {migration} leaves {lifted[0]} without FORCE ROW LEVEL SECURITY and was not "
            "recorded; end it with ALTER TABLE ... FORCE ROW LEVEL SECURITY"
        )
    connection.execute(_RECORD, (migration.line, migration.number, migration.name, migration.sha256))


def _run_alone(connection: psycopg.Connection, migration: Migration, scope: str) -> None:
    index = concurrent_index(migration.text)
    with explained(f"migration {migration}", "was not recorded; fix the cause and run migrate again"):
        connection.execute(scope.replace(" LOCAL", "").encode())
        if index is not None:
            _drop_invalid(connection, *index)
        # binary=True selects the extended protocol, which refuses more than one statement.
        connection.execute(migration.text.encode(), binary=True)
    if index is not None and not _is_valid(connection, *index):
        raise ConfigurationError(
            f"migration {migration} did not create index {index[0]} on {index[1]}: another relation has this "
            "name; choose another name"
        )


def _drop_invalid(connection: psycopg.Connection, name: str, table: str) -> None:
    """Drop the invalid index that a failed build left, which IF NOT EXISTS would accept as finished."""
    found = _find(connection, name, table)
    if found is not None and not found[0]:
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(*found[1:])))


def _is_valid(connection: psycopg.Connection, name: str, table: str) -> bool:
    found = _find(connection, name, table)
    return found is not None and bool(found[0])


def _find(connection: psycopg.Connection, name: str, table: str) -> tuple[Any, ...] | None:
    with connection.transaction():
        connection.execute(PATH)
        return connection.execute(_INDEX, {"name": name, "table": table}).fetchone()
