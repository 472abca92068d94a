"""The SQL that the SDK sends: calls of the write API and SELECTs of declared columns.

Names come from checked declarations, values are always parameters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from storekit.ports import Call, Events, Locate, Report, Select

SET_TENANT = (
    "SELECT set_config('storekit.tenant', $1, true), set_config('timezone', 'UTC', true), "
    # a plan made while a table was tiny must not scan it for ever: every read is a look-up by key
    "set_config('datestyle', 'ISO', true), set_config('enable_seqscan', 'off', true)"
)
SET_ROLE = "SELECT set_config('role', $1, true)"
"""What a transaction needs is set in it: behind a pooler the next one may run in anybody's session."""

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
"""The write API: every argument's name and type, in order."""


def call(statement: Call) -> tuple[str, list[bytes | None]]:
    """Compose the call of a function of the write API."""
    values = statement.arguments
    return _call_text(statement.function), [
        encode(values.get(name)) for name in FUNCTIONS[statement.function]
    ]


@lru_cache
def _call_text(function: str) -> str:
    types = FUNCTIONS[function].values()
    return f"SELECT storekit.{function}({', '.join(f'${i}::{t}' for i, t in enumerate(types, 1))})"


def select(statement: Select, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT by ref_id. It states the tenant itself: the policy is the second lock."""
    single = len(statement.ref_ids) == 1
    text = _select_text(statement.table, tuple(c for c, _ in statement.columns), statement.parts, single)
    return text, [encode(tenant), _ref_ids(statement.ref_ids)]


def locate(statement: Locate, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose the look-up of where blobs are."""
    single = len(statement.ref_ids) == 1
    text = _locate_text(statement.table, statement.field, statement.soft_delete, single)
    return text, [encode(tenant), _ref_ids(statement.ref_ids)]


@lru_cache(maxsize=1024)
def _select_text(table: str, columns: tuple[str, ...], parts: tuple[str, ...], single: bool) -> str:
    fields = ", ".join(["e.ref_id", *(f'e."{column}"' for column in columns if column != "ref_id")])
    joined = "".join(
        f', (SELECT {PART} FROM storekit.part p WHERE p.tenant_id = $1::uuid AND p.part_id = e."{part}_ref")'
        f' AS "part:{part}"'  # no column can be called so
        for part in parts
    )
    return f"SELECT {fields}{joined} FROM {_by_ref_id(table, single)} e"


@lru_cache(maxsize=1024)
def _locate_text(table: str, field: str, soft_delete: bool, single: bool) -> str:
    part = f'p.tenant_id = $1::uuid AND p.part_id = e."{field}_ref"'
    # in one row at a time, or a batch of unknown size would be joined by reading all parts of the tenant
    joined = f"LEFT JOIN LATERAL (SELECT * FROM storekit.part p WHERE {part} OFFSET 0) p ON true"
    columns = "e.ref_id, p.key, p.version_id, p.size, p.sha256, p.media_type, p.filename"
    alive = " AND deleted_on IS NULL" if soft_delete else ""
    return f"SELECT {columns} FROM {_by_ref_id(table, single, alive)} e {joined}"


def _by_ref_id(table: str, single: bool, alive: str = "") -> str:
    """Look rows up one by one: for `= ANY` a planner that knows little of the tenant reads all its rows."""
    schema, _, name = table.rpartition(".")
    rows = f'SELECT * FROM "{schema or "public"}"."{name}" WHERE tenant_id = $1::uuid{alive}'
    if single:
        return f"({rows} AND ref_id = $2 OFFSET 0)"
    return f"unnest($2::text[]) AS w(_wanted) CROSS JOIN LATERAL ({rows} AND ref_id = _wanted OFFSET 0)"


def _ref_ids(ref_ids: tuple[str, ...]) -> bytes:
    return ref_ids[0].encode() if len(ref_ids) == 1 else ("{" + ",".join(ref_ids) + "}").encode()


def events(statement: Events, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT of a record's last events."""
    return _EVENTS, [encode(each) for each in (tenant, statement.table, statement.ref_id, statement.limit)]


def report(statement: Report) -> tuple[str, list[bytes | None]]:
    """Compose the reading of a report."""
    return "SELECT row FROM report.read_v1($1, $2) AS row", [encode(statement.actor), encode(statement.name)]


def encode(value: Any) -> bytes | None:
    """Put a parameter into Postgres's text form."""
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
