"""The SQL that storekit sends: calls of the write API and SELECTs of declared columns.

Names come from validated declarations; values are always parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from storekit.errors import ValidationError
from storekit.ports.statements import Call, Events, Locate, Match, Progress, Report, Select, Via

# Behind a pooler each transaction may run in another session, so every read sets what it needs in its own
# transaction. The tenant and nine settings take 17.8 us of the server, the tenant alone 13.5 us. They must be
# set by a statement before the SELECT: within one statement the order of evaluation is undefined, and a
# policy could still see the previous tenant.
PINNED = {
    # Functions, operators, types and casts are those of Postgres: a login that may create objects in a schema
    # of the session's search_path could otherwise create overloads, which would run as this login.
    "search_path": "pg_catalog, pg_temp",
    "timezone": "UTC",
    "datestyle": "ISO",
    # A database may keep 0, the default before Postgres 12: floats would be read with 15 digits, and a page
    # cursor would miss the row it was taken from.
    "extra_float_digits": "1",
    "row_security": "on",
    # Each read is a look-up by key. A plan cached while the table was small must not scan the table later.
    "enable_seqscan": "off",
    # On by default. A plan that has to use a forbidden node would "cost" enough to be compiled.
    "jit": "off",
}
"""The settings that the results or the plans of a read depend on.

Each takes 0.3 to 0.5 us. Intervals and `bytea` in another style, for example, are not among them: a read
returns no interval, and psycopg reads both styles of `bytea`.
"""


def setting(name: str, value: str) -> str:
    """Write the call that sets a setting for the rest of the transaction."""
    return f"pg_catalog.set_config('{name}', '{value}', true)"


SET_TENANT = ", ".join(
    [
        "SELECT pg_catalog.set_config('storekit.tenant', $1, true)",
        *(setting(*each) for each in PINNED.items()),
    ]
)
LOOK_UP = f", {setting('enable_sort', 'off')}, {setting('plan_cache_mode', 'force_generic_plan')}"
"""Appended to `SET_TENANT` for look-ups by key: rules out plans that use another index and then sort.

The plan is kept. Postgres would estimate that it reads many rows, because it does not know that the two
limits of BETWEEN are equal, and would plan each call anew once the table has more than about 60,000 rows.
"""
# The statements up to SET_ROLE also run before SET_TENANT, or between the user's own SQL, whose search_path
# may hold anything. So they name the schema of each function, operator and type.
SET_SCOPE = (
    "SELECT pg_catalog.set_config('storekit.tenant', $1, true), "
    "pg_catalog.set_config('storekit.actor', $2, true), "
    "pg_catalog.set_config('storekit.on_behalf_of', $3, true), "
    "pg_catalog.set_config('storekit.context', $4, true), pg_catalog.set_config('storekit.reason', "
    "coalesce($5, pg_catalog.current_setting('storekit.reason', true), ''), true) "
    "WHERE coalesce(pg_catalog.current_setting('storekit.tenant', true), '') OPERATOR(pg_catalog.=) "
    "ANY (ARRAY['', $1])"
)
"""Sets tenant and origin, unless the transaction has another tenant: then it returns no row."""
RESTORE_TENANT = f"SELECT pg_catalog.set_config('storekit.tenant', $1, true), {setting('row_security', 'on')}"
"""Sets what `REQUIRE_COMMITTED` needs to see the writes, after the user's SQL."""
REQUIRE_COMMITTED = (
    "SELECT 1 OPERATOR(pg_catalog./) (pg_catalog.count(*) OPERATOR(pg_catalog.=) $3::pg_catalog.int8)"
    "::pg_catalog.int4 FROM storekit.write AS w WHERE w.tenant_id OPERATOR(pg_catalog.=) $1::pg_catalog.uuid "
    "AND w.write_id OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.uuid[]) "
    "AND w.state OPERATOR(pg_catalog.=) 'committed'::storekit.write_state"
)
"""Divides by zero unless all writes are committed: the server then skips the rest of the pipeline."""
CURRENT = (
    "SELECT pg_catalog.current_setting('storekit.actor', true), "
    "pg_catalog.current_setting('storekit.on_behalf_of', true), "
    "pg_catalog.current_setting('storekit.context', true), "
    "pg_catalog.current_setting('storekit.reason', true), pg_catalog.current_setting('row_security')"
)
"""Reads what a unit of work changes in a transaction that it joins."""
SET_ROW_SECURITY = "SELECT pg_catalog.set_config('row_security', $1, true)"
SET_ROLE = "SELECT pg_catalog.set_config('role', $1, true)"
"""Sets the role of this transaction only: a pooler may give the session to another client next."""
SET_PATH = f"SELECT {setting('search_path', PINNED['search_path'])}"

PART = (
    "json_build_array(p.part_id, p.key, p.version_id, p.size, encode(p.sha256, 'hex'), p.media_type, "
    "p.filename, p.expires_on, coalesce(p.expires_on <= storekit.now(), false), p.state, p.write_id)"
)

_EVENTS = (
    "SELECT e.occurred_on, e.type, e.version, e.actor, e.on_behalf_of, e.reason, e.context, "
    "e.before::text, e.after::text FROM storekit.event e "
    "WHERE e.tenant_id = $1::uuid AND e.entity = $2 AND e.ref_id = $3 "
    "ORDER BY e.version DESC, e.occurred_on DESC LIMIT $4::bigint"
)

_PROGRESS = (
    "SELECT h.pos, h.complete_through, EXISTS (SELECT FROM storekit.event_inbox i "
    "WHERE i.tenant_id = $1::uuid AND i.entity = $2 AND i.ref_id = $3 AND i.version <= $4::bigint) "
    "AS waiting FROM storekit.event_head h"
)

_WRITE = {"p_tenant": "uuid", "p_actor": "text", "p_write_id": "uuid"}
_CLAIM = {**_WRITE, "p_key": "text", "p_fingerprint": "bytea"}
_ORIGIN = {"p_on_behalf_of": "text", "p_context": "jsonb"}
MAX_REQUEST = 128 * 1024 * 1024
"""Bytes of the arguments of one call. Rows are sent as one jsonb value, which can have at most 256 MB."""
FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    "stage_v1": {**_CLAIM, "p_lease": "interval", "p_parts": "jsonb", "p_targets": "jsonb"},
    "renew_v1": {**_WRITE, "p_lease": "interval"},
    "commit_v1": {**_CLAIM, "p_parts": "jsonb", "p_ops": "jsonb", **_ORIGIN},
    "abandon_v1": _WRITE,
    "transition_v1": {
        **_WRITE,
        "p_entity": "text",
        "p_ref_id": "text",
        "p_to": "text",
        "p_reason": "text",
        "p_expected_version": "bigint",
        **_ORIGIN,
    },
    "lookup_v1": {"p_entity": "text", "p_value": "text"},
}
"""The functions of the write API, with the name and type of each argument in order."""


def call(statement: Call) -> tuple[str, list[bytes | None]]:
    """Compose a call of the write API."""
    values = [encode(statement.arguments.get(name)) for name in FUNCTIONS[statement.function]]
    if (size := sum(len(value) for value in values if value is not None)) > MAX_REQUEST:
        raise ValidationError(
            f"the records of this call have {size} bytes without their parts; the limit is {MAX_REQUEST}; "
            "save them in several calls"
        )
    return _call_text(statement.function), values


@lru_cache
def _call_text(function: str) -> str:
    # With their schema: a call has no SET_TENANT before it. `bigint` is a keyword, so it is no name to look
    # up.
    types = [each if each == "bigint" else f"pg_catalog.{each}" for each in FUNCTIONS[function].values()]
    return f"SELECT storekit.{function}({', '.join(f'${i}::{t}' for i, t in enumerate(types, 1))})"


def select(statement: Select, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT by ref_id. It has its own condition for the tenant, besides the row-level policy."""
    single = len(statement.ref_ids) == 1
    text = _select_text(statement.table, tuple(c for c, _ in statement.columns), statement.parts, single)
    return text, [encode(tenant), _ref_ids(statement.ref_ids)]


def match(statement: Match, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT by a key, with one look-up for each value. Values are sent as one array per column."""
    text = _match_text(
        statement.table, tuple(c for c, _ in statement.columns), statement.parts, statement.key
    )
    return text, [encode(tenant), *(array(column) for column in zip(*statement.values, strict=True))]


def locate(statement: Locate, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose the look-up of where the bytes of blobs are stored."""
    single = len(statement.ref_ids) == 1
    text = _locate_text(statement.table, statement.field, statement.soft_delete, single, statement.via)
    return text, [encode(tenant), _ref_ids(statement.ref_ids)]


@lru_cache(maxsize=1024)
def _select_text(table: str, columns: tuple[str, ...], parts: tuple[str, ...], single: bool) -> str:
    return f"SELECT {fields(columns, parts)} FROM {_by_ref_id(table, single, needed(columns, parts))} e"


@lru_cache(maxsize=1024)
def _match_text(
    table: str, columns: tuple[str, ...], parts: tuple[str, ...], key: tuple[tuple[str, str], ...]
) -> str:
    arrays = ", ".join(f"${i}::{kind}[]" for i, (_, kind) in enumerate(key, 2))
    names = ", ".join(f"_{i}" for i in range(len(key)))
    equal = " AND ".join(f'"{name}" = w._{i}' for i, (name, _) in enumerate(key))
    rows = (
        f"SELECT {needed(columns, parts)} FROM {named(table)} WHERE tenant_id = $1::uuid AND {equal} OFFSET 0"
    )
    return (
        f"SELECT {fields(columns, parts)} FROM unnest({arrays}) AS w({names}) CROSS JOIN LATERAL ({rows}) e"
    )


def needed(columns: tuple[str, ...], parts: tuple[str, ...]) -> str:
    """List the columns of a sub-select that `fields` reads: `*` would make Postgres copy all of the
    table's."""
    names = dict.fromkeys(["ref_id", *columns, *(f"{part}_ref" for part in parts)])
    return ", ".join(f'"{name}"' for name in names)


def fields(columns: tuple[str, ...], parts: tuple[str, ...]) -> str:
    """List the columns to read of a row `e`, and the ledger's facts about its parts."""
    plain = ", ".join(["e.ref_id", *(f'e."{column}"' for column in columns if column != "ref_id")])
    joined = "".join(
        f', (SELECT {PART} FROM storekit.part p WHERE p.tenant_id = $1::uuid AND p.part_id = e."{part}_ref")'
        f' AS "part:{part}"'  # a column's name cannot contain a colon
        for part in parts
    )
    return f"{plain}{joined}"


def named(table: str) -> str:
    """Quote a table's name, with its schema."""
    schema, _, name = table.rpartition(".")
    return f'"{schema or "public"}"."{name}"'


@lru_cache(maxsize=1024)
def _locate_text(table: str, field: str, soft_delete: bool, single: bool, via: Via | None) -> str:
    ref = f'"{field}_ref"'
    named_here = f'ref_id, "{via.column}"' if via else f"ref_id, {ref}"
    rows = f"{_by_ref_id(table, single, named_here, _alive(soft_delete))} e"
    if via is not None:
        target = look_up(via.table, "id", f'e."{via.column}"', ref, _alive(via.soft_delete))
        rows = f"{rows} LEFT JOIN LATERAL ({target}) t ON true"
    part = f"p.tenant_id = $1::uuid AND p.part_id = {'t' if via else 'e'}.{ref}"
    facts = "key, version_id, size, sha256, media_type, filename"
    # OFFSET 0 keeps the look-up per row: for an array of unknown length the planner would read all parts of
    # the tenant and hash-join them.
    joined = f"LEFT JOIN LATERAL (SELECT {facts} FROM storekit.part p WHERE {part} OFFSET 0) p ON true"
    return f"SELECT e.ref_id, {', '.join(f'p.{fact}' for fact in facts.split(', '))} FROM {rows} {joined}"


def _alive(soft_delete: bool) -> str:
    return " AND deleted_on IS NULL" if soft_delete else ""


def look_up(table: str, column: str, value: str, columns: str, more: str = "") -> str:
    """Write the look-up of `columns` of one row by the tenant and `column`, which together are a key.

    BETWEEN and ORDER BY replace a plain equality. While a table is small, all indexes that begin with the
    tenant have the same cost for an equality, and a cached plan could keep the wrong one. Only the index of
    the key returns rows in this order.
    """
    found = f'"{column}" BETWEEN {value} AND {value} ORDER BY "{column}" OFFSET 0'
    return f"SELECT {columns} FROM {named(table)} WHERE tenant_id = $1::uuid{more} AND {found}"


def _by_ref_id(table: str, single: bool, columns: str, more: str = "") -> str:
    """Look rows up one by one.

    For `= ANY ($2)` a planner without statistics of the tenant may read all of the tenant's rows.
    """
    if single:
        return f"({look_up(table, 'ref_id', '$2', columns, more)})"
    rows = look_up(table, "ref_id", "_wanted", columns, more)
    return f"unnest($2::text[]) AS w(_wanted) CROSS JOIN LATERAL ({rows})"


def _ref_ids(ref_ids: tuple[str, ...]) -> bytes:
    return ref_ids[0].encode() if len(ref_ids) == 1 else ("{" + ",".join(ref_ids) + "}").encode()


def events(statement: Events, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT of the latest events of a record."""
    return _EVENTS, [encode(each) for each in (tenant, statement.table, statement.ref_id, statement.limit)]


def progress(statement: Progress, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT of the end of the log and of one record in the inbox, in one snapshot."""
    row = statement.table, statement.ref_id, statement.version
    return _PROGRESS, [encode(each) for each in (tenant, *row)]


def report(statement: Report) -> tuple[str, list[bytes | None]]:
    """Compose a call that reads a report."""
    values = (statement.actor, statement.name, statement.read_id)
    return "SELECT row FROM report.read_v1($1, $2, $3) AS row", [encode(each) for each in values]


def array(values: Iterable[Any]) -> bytes:
    """Encode values as an array in PostgreSQL's text format."""
    return ("{" + ",".join(map(_element, values)) + "}").encode()


def _element(value: Any) -> str:
    text = (encode(value) or b"").decode()
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encode(value: Any) -> bytes | None:
    """Encode a parameter in PostgreSQL's text format."""
    match value:
        case None:
            return None
        case bytes():
            return b"\\x" + value.hex().encode()
        case str():
            return value.encode()
        case timedelta():
            return f"{value.total_seconds()} seconds".encode()
        case list() | dict():
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return str(value).encode()
