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

from storekit.ports.statements import Call, Events, Locate, Match, Report, Select, Via

# Behind a pooler each transaction may run in another session, so every read sets what it needs in its own
# transaction. Four settings take 22.6 us, the tenant alone 21.3 us. The tenant must be set by a statement
# before the SELECT: within one statement the order of evaluation is undefined, and a policy could still see
# the previous tenant.
SET_TENANT = (
    "SELECT set_config('storekit.tenant', $1, true), set_config('timezone', 'UTC', true), "
    # Each read is a look-up by key. A plan cached while the table was small must not scan the table later.
    "set_config('datestyle', 'ISO', true), set_config('enable_seqscan', 'off', true), "
    # A database may keep 0, the default before Postgres 12: floats would be read with 15 digits, and a page
    # cursor would miss the row it was taken from.
    "set_config('extra_float_digits', '1', true)"
)
UNSORTED = ", set_config('enable_sort', 'off', true)"
"""Appended to `SET_TENANT` for look-ups by key: rules out plans that use another index and then sort."""
SET_SCOPE = (
    "SELECT set_config('storekit.tenant', $1, true), set_config('storekit.actor', $2, true) "
    "WHERE coalesce(nullif(current_setting('storekit.tenant', true), ''), $1) = $1"
)
"""Sets tenant and actor, unless the transaction has another tenant: then it returns no row."""
RESTORE_TENANT = "SELECT set_config('storekit.tenant', $1, true)"
REQUIRE_COMMITTED = (
    "SELECT 1 / (count(*) = $3::bigint)::int FROM storekit.write "
    "WHERE tenant_id = $1::uuid AND write_id = ANY ($2::uuid[]) AND state = 'committed'"
)
"""Divides by zero unless all writes are committed: the server then skips the rest of the pipeline."""
CURRENT_ACTOR = "SELECT nullif(current_setting('storekit.actor', true), '')"
SET_ROLE = "SELECT set_config('role', $1, true)"
"""Sets the role of this transaction only: a pooler may give the session to another client next."""

PART = (
    "json_build_array(p.part_id, p.key, p.version_id, p.size, encode(p.sha256, 'hex'), p.media_type, "
    "p.filename, p.expires_on, coalesce(p.expires_on <= storekit.now(), false), p.state, p.write_id)"
)

_EVENTS = (
    "SELECT e.occurred_on, e.type, e.version, e.actor, e.reason, "
    "e.before::text, e.after::text FROM storekit.event e "
    "WHERE e.tenant_id = $1::uuid AND e.entity = $2 AND e.ref_id = $3 "
    "ORDER BY e.version DESC, e.occurred_on DESC LIMIT $4::bigint"
)

_WRITE = {"p_tenant": "uuid", "p_actor": "text", "p_write_id": "uuid"}
_CLAIM = {**_WRITE, "p_key": "text", "p_fingerprint": "bytea"}
FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    "stage_v1": {**_CLAIM, "p_lease": "interval", "p_parts": "jsonb", "p_targets": "jsonb"},
    "renew_v1": {**_WRITE, "p_lease": "interval"},
    "commit_v1": {**_CLAIM, "p_parts": "jsonb", "p_ops": "jsonb"},
    "abandon_v1": _WRITE,
    "transition_v1": {
        **_WRITE,
        "p_entity": "text",
        "p_ref_id": "text",
        "p_to": "text",
        "p_reason": "text",
        "p_expected_version": "bigint",
    },
    "lookup_v1": {"p_entity": "text", "p_value": "text"},
}
"""The functions of the write API, with the name and type of each argument in order."""


def call(statement: Call) -> tuple[str, list[bytes | None]]:
    """Compose a call of the write API."""
    values = statement.arguments
    return _call_text(statement.function), [
        encode(values.get(name)) for name in FUNCTIONS[statement.function]
    ]


@lru_cache
def _call_text(function: str) -> str:
    types = FUNCTIONS[function].values()
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
    return f"SELECT {fields(columns, parts)} FROM {_by_ref_id(table, single)} e"


@lru_cache(maxsize=1024)
def _match_text(
    table: str, columns: tuple[str, ...], parts: tuple[str, ...], key: tuple[tuple[str, str], ...]
) -> str:
    arrays = ", ".join(f"${i}::{kind}[]" for i, (_, kind) in enumerate(key, 2))
    names = ", ".join(f"_{i}" for i in range(len(key)))
    equal = " AND ".join(f'"{name}" = w._{i}' for i, (name, _) in enumerate(key))
    rows = f"SELECT * FROM {named(table)} WHERE tenant_id = $1::uuid AND {equal} OFFSET 0"
    return (
        f"SELECT {fields(columns, parts)} FROM unnest({arrays}) AS w({names}) CROSS JOIN LATERAL ({rows}) e"
    )


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
    rows = f"{_by_ref_id(table, single, _alive(soft_delete))} e"
    if via is not None:
        target = look_up(via.table, "id", f'e."{via.column}"', _alive(via.soft_delete))
        rows = f"{rows} LEFT JOIN LATERAL ({target}) t ON true"
    part = f'p.tenant_id = $1::uuid AND p.part_id = {"t" if via else "e"}."{field}_ref"'
    # OFFSET 0 keeps the look-up per row: for an array of unknown length the planner would read all parts of
    # the tenant and hash-join them.
    joined = f"LEFT JOIN LATERAL (SELECT * FROM storekit.part p WHERE {part} OFFSET 0) p ON true"
    columns = "e.ref_id, p.key, p.version_id, p.size, p.sha256, p.media_type, p.filename"
    return f"SELECT {columns} FROM {rows} {joined}"


def _alive(soft_delete: bool) -> str:
    return " AND deleted_on IS NULL" if soft_delete else ""


def look_up(table: str, column: str, value: str, more: str = "") -> str:
    """Write the look-up of one row by the tenant and `column`, which together are a key.

    BETWEEN and ORDER BY replace a plain equality. While a table is small, all indexes that begin with the
    tenant have the same cost for an equality, and a cached plan could keep the wrong one. Only the index of
    the key returns rows in this order.
    """
    found = f'"{column}" BETWEEN {value} AND {value} ORDER BY "{column}" OFFSET 0'
    return f"SELECT * FROM {named(table)} WHERE tenant_id = $1::uuid{more} AND {found}"


def _by_ref_id(table: str, single: bool, more: str = "") -> str:
    """Look rows up one by one.

    For `= ANY ($2)` a planner without statistics of the tenant may read all of the tenant's rows.
    """
    if single:
        return f"({look_up(table, 'ref_id', '$2', more)})"
    rows = look_up(table, "ref_id", "_wanted", more)
    return f"unnest($2::text[]) AS w(_wanted) CROSS JOIN LATERAL ({rows})"


def _ref_ids(ref_ids: tuple[str, ...]) -> bytes:
    return ref_ids[0].encode() if len(ref_ids) == 1 else ("{" + ",".join(ref_ids) + "}").encode()


def events(statement: Events, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT of the latest events of a record."""
    return _EVENTS, [encode(each) for each in (tenant, statement.table, statement.ref_id, statement.limit)]


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
