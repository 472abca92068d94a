"""The schema as files: one for each table, view, function and type.

Policies and triggers are in the file of their table, so that a review sees the table whole.

Written for review and grep, and identical from PostgreSQL 15 to 18: the output of pg_dump changes with each
major version and is one file. Partitions are left out, because they are created and dropped
while the database runs; `isolation` checks them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import psycopg

from storekit.drivers.postgres.admin import mirror_sql as query
from storekit.drivers.postgres.admin.as_owner import as_owner, ask

HEADER = "-- Written by `storekit schema mirror`: make changes in a migration, then run it again."

_File = tuple[str, str]
"""A path below the mirror's directory, and the statements of the file."""
_TYPE = {"e": "CREATE TYPE {} AS ENUM ({});", "c": "CREATE TYPE {} AS ({});", "d": "CREATE DOMAIN {} AS {};"}


def read(connection: psycopg.Connection) -> dict[str, str]:
    """Return the text of each file by its path, such as `storekit/functions/commit_v1.sql`.

    Raises:
        ConfigurationError: the database was never migrated, or the login cannot SET ROLE storekit_owner.
    """
    texts = defaultdict[str, list[str]](lambda: [HEADER])
    with as_owner(connection):
        for path, text in _files(connection):
            texts[path].append(text)
    return {path: "\n\n".join(parts) + "\n" for path, parts in sorted(texts.items())}


def _files(connection: psycopg.Connection) -> Iterator[_File]:
    endings = _endings(connection)
    for schema, oid in _rows(connection, query.SCHEMAS):
        if text := endings.get(("pg_namespace", oid)):
            yield f"{quote(schema, safe='')}/schema.sql", text
    for schema, name, oid, *table in _rows(connection, query.TABLES):
        yield _path(schema, "tables", name), _table(*table)
        yield _path(schema, "tables", name), endings["pg_class", oid]
    for schema, name, oid, text in _rows(connection, query.VIEWS):
        yield _path(schema, "views", name), f"{_plain(text)}\n\n{endings['pg_class', oid]}"
    for schema, name, oid, text in _rows(connection, query.FUNCTIONS):
        yield _path(schema, "functions", name), f"{text}\n\n{endings['pg_proc', oid]}"
    for schema, name, oid, full_name, kind, members in _rows(connection, query.TYPES):
        text = _TYPE[kind].format(full_name, _list(members) if kind != "d" else " ".join(members))
        yield _path(schema, "types", name), f"{text}\n\n{endings['pg_type', oid]}"
    for objects in (query.POLICIES, query.TRIGGERS):
        for schema, kind, name, text in _rows(connection, objects):
            yield _path(schema, kind, name), text


def _endings(connection: psycopg.Connection) -> dict[tuple[str, int], str]:
    statements = defaultdict[tuple[str, int], list[str]](list)
    for catalog, oid, statement in _rows(connection, query.ENDINGS):
        statements[catalog, oid].append(statement)
    return {key: "\n".join(lines) for key, lines in statements.items()}


def _table(name: str, columns: list[str], constraints: list[str], options: str, rest: list[str]) -> str:
    return "\n".join([f"CREATE TABLE {name} ({_list([*columns, *constraints])}){options};", *rest])


def _plain(view: str) -> str:
    """Write a view of one table as PostgreSQL 16 and later do: 15 puts the table before each column."""
    sources = re.findall(r"^ +FROM (.*?);?$", view, re.MULTILINE)
    only = re.fullmatch(r"(?:\w+\.)?(\w+)(?: (\w+))?", sources[0]) if len(sources) == 1 else None
    return re.sub(rf'(?<![\w."])(?<!FROM ){only[2] or only[1]}\.(?=[\w"])', "", view) if only else view


def _list(members: Iterable[str]) -> str:
    return "\n    " + ",\n    ".join(members) + "\n"


def _path(schema: str, kind: str, name: str) -> str:
    """Return the path of an object's file. Names are quoted: one may contain a slash or be `..`."""
    return f"{quote(schema, safe='')}/{kind}/{quote(name, safe='')}.sql"


def _rows(connection: psycopg.Connection, objects: str) -> list[tuple[Any, ...]]:
    return ask(connection, query.SCOPE, objects)
