"""Describe one record on one screen: where each field is stored, and the last events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storekit.errors import NotFound
from storekit.flows.calls import read
from storekit.flows.context import Context
from storekit.flows.read.load import whole_row
from storekit.model.table.table import Part, Table
from storekit.ports.statements import Events

_EVENTS = 5
_LONGEST = 60


async def explain(context: Context, table: Table, ref_id: str) -> str:
    """Return each field's store, key, size, hash, state, expiry and writer, and the last events. One trip."""
    rows, events = await read(context, [whole_row(table, [ref_id]), Events(table.name, ref_id, _EVENTS)])
    if not rows:
        raise NotFound(table.name, ref_id)
    row = rows[0]
    deleted = f", deleted {row['deleted_on']:%Y-%m-%d %H:%M:%S}Z" if row.get("deleted_on") else ""
    lines = [f"{table.name} {ref_id}, version {row['version']}{deleted}", *_columns(table, row)]
    for part in table.parts.values():
        lines += _part(part, row)
    lines += ["last events", *(_event(event) for event in events)]
    return "\n".join(lines)


def _columns(table: Table, row: Mapping[str, Any]) -> Iterator[str]:
    for name, _ in table.types:
        text = str(row[name])
        yield f"  {name:<16} Postgres  {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}"


def _part(part: Part, row: Mapping[str, Any]) -> Iterator[str]:
    store = "S3" if part.kind == "blob" else "MongoDB"
    stored = row[f"part:{part.name}"]
    if stored is None:
        gone = row.get(f"{part.name}_expired_on")
        yield f"  {part.name:<16} {store:<8}  {f'expired {gone}' if gone else '(empty)'}"
        return
    version = f" @{stored.version_id}" if stored.version_id else ""
    key = stored.key if part.kind == "blob" else f"{stored.key}/{stored.part_id}"
    yield f"  {part.name:<16} {store:<8}  {key}{version}"
    expiry = (
        f", {'expired' if stored.expired else 'expires'} {stored.expires_on}" if stored.expires_on else ""
    )
    yield f"{'':<29}{stored.size} bytes, sha256 {stored.sha256}"
    yield f"{'':<29}{stored.state} by write {stored.write_id}{expiry}"


def _event(event: Mapping[str, Any]) -> str:
    moment = event["occurred_on"].strftime("%Y-%m-%d %H:%M:%S")
    return f"  {moment}Z  {event['type']}  version {event['version']}  by {event['actor']}"
