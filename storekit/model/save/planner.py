"""Make the plan of a save from its changes, and the fingerprint of the request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from storekit.errors import UsageError
from storekit.model.save.change import Change
from storekit.model.save.plan import PartPlan, Plan, RowPlan


def make_plan(changes: Sequence[Change]) -> Plan:
    """Plan one save.

    Args:
        changes: one for each record, with new blobs measured and linked documents read. Empty changes are
            part of the fingerprint only.

    Raises:
        UsageError: a record of an append-only class has changes.
    """
    rows: list[RowPlan] = []
    parts: list[PartPlan] = []
    identity: list[Any] = []
    index_of = {new: i for i, change in enumerate(changes) if (new := _new_id(change)) is not None}
    for i, change in enumerate(changes):
        if change.identity is None:
            change.identity = _identity(change, index_of)
        identity.append(change.identity)
        if change.empty and not change.compared:
            continue
        table, operation = change.table, "check" if change.empty else change.operation
        fresh = _fresh_parts(len(rows), change)
        if operation == "update" and not table.mutable:
            raise UsageError(f"{change.owner} is append-only; derive it from Mutable to change it")
        refs: dict[str, int | None] = dict.fromkeys(change.emptied)
        refs |= {part.spec.name: len(parts) + n for n, part in enumerate(fresh)}
        parts += fresh
        expected, columns = change.expected_version, change.columns
        if expected is None and operation == "update":
            columns = change.columns = {**{name: change.declared[name] for name in change.given}, **columns}
        what = change.ref_id, change.id, expected, columns, refs, change.reason
        rows.append(RowPlan(i, table, operation, *what))
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return Plan(tuple(rows), tuple(parts), hashlib.sha256(text.encode()).digest())


def _fresh_parts(row: int, change: Change) -> list[PartPlan]:
    """List the parts to upload: new blobs, new documents, and copies of documents that link a new blob."""
    specs, fresh = change.table.parts, []
    for name, content in change.contents.items():
        source, facts = content.source, (content.media_type, content.filename)
        fresh.append(PartPlan(row, specs[name], source.size, source.sha256, *facts, source=source))
    for name, made in change.documents.items():
        links = _links(change, name)
        fresh.append(PartPlan(row, specs[name], made.size, made.sha256, body=made.body, links=links))
    for name, body in change.copied.items():
        known, links = change.stored[name], _links(change, name)
        digest, until = bytes.fromhex(known.sha256), known.expires_on
        fresh.append(PartPlan(row, specs[name], known.size, digest, body=body, expires_on=until, links=links))
    return fresh


def _links(change: Change, document: str) -> dict[str, Any]:
    links = {}
    for name in change.table.parts[document].links:
        known = change.stored.get(name)
        if known is not None and name not in change.blobs.keys() | change.emptied:
            links[name] = {"key": known.key, "size": known.size, "sha256": known.sha256}
    return links


def _new_id(change: Change) -> str | None:
    """Return the id that was generated for the caller's object, if the request may insert it."""
    if change.request is not None:
        return str(change.request.id) if change.request.id is not None else None
    return str(change.id) if change.operation == "insert" or change.identity is not None else None


def _identity(change: Change, index_of: Mapping[str, int]) -> list[Any]:
    """Return what the fingerprint covers: the desired state of the record, without generated ids.

    It covers stored values too: if a process crashes after its commit and the request is repeated, less has
    changed, but the fingerprint must be the same. A reference to a record of the same call is covered as the
    position of that record, since its id is generated again. Where the caller gave only some fields, the
    others may have any stored value, so they are left out.
    """
    values = {}
    for name, value in {**change.declared, **change.column_identities}.items():
        column = change.table.columns[name]
        own = index_of.get(value) if column.reference and value is not None else None
        values[name] = value if own is None else {"row": own}
    parts = {name: known.sha256 for name, known in change.stored.items() if name not in change.emptied}
    parts |= {name: _content_identity(change, name) for name in change.contents}
    parts |= {name: made.sha256.hex() for name, made in change.documents.items()} | change.identities
    ref_id = None if change.operation == "insert" else change.ref_id
    request = change.request
    if request is None:
        values = {name: value for name, value in values.items() if name not in change.left_out}
        return [change.table.name, change.operation, ref_id, values, parts]
    given = {name: value for name, value in values.items() if name in request.given}
    contents = {name: parts.get(name) for name in request.given & change.table.parts.keys()}
    named = None if request.id is not None else change.ref_id
    return [change.table.name, request.verb, named, given, contents]


def _content_identity(change: Change, name: str) -> str:
    """Return the hash of a blob, or the media type of an iterator, since that cannot be read again."""
    content = change.contents[name]
    return content.source.sha256.hex() if change.blobs[name].rereadable else f"stream:{content.media_type}"
