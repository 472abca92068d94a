"""From changes to a plan: which parts are really new, and the request's fingerprint."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storekit.errors import UsageError, ValidationError
from storekit.model.save.changes import Change
from storekit.model.save.plan import PartPlan, Plan, RowPlan
from storekit.model.values.blob import Blob
from storekit.model.values.bson import Body
from storekit.model.values.disposition import disposition
from storekit.model.values.source import MeasuredSource

_MEDIA_TYPE = re.compile(r"[!-~]+/[!-~]+(?: [!-~]+)*").fullmatch
Key = tuple[str, str]
"""A ref_id, and a field of it."""


def drop_unchanged(change: Change, measured: Mapping[Key, MeasuredSource]) -> Iterator[tuple[str, Blob]]:
    """Forget new blobs that are, byte for byte and in name and type, what is stored already; name them."""
    for name, blob in list(change.blobs.items()):
        known = change.stored.get(name)
        if known and (known.sha256, known.media_type, known.filename) == (
            measured[change.ref_id, name].sha256.hex(),
            *_facts(change, name, blob),
        ):
            del change.blobs[name]
            yield name, blob


def make_plan(
    changes: Sequence[Change], measured: Mapping[Key, MeasuredSource], bodies: Mapping[Key, Body]
) -> Plan:
    """Plan one save.

    Args:
        changes: one for each record; those that are empty count for the fingerprint alone.
        measured: the content of every blob among the changes.
        bodies: of the documents that `Change.relinked` named, as read back.
    """
    rows: list[RowPlan] = []
    parts: list[PartPlan] = []
    identity: list[Any] = []
    index_of = {str(change.id): i for i, change in enumerate(changes) if change.operation == "insert"}
    for change in changes:
        row = len(rows)
        fresh = [*_blobs(row, change, measured), *_documents(row, change, bodies)]
        identity.append(_identity(change, fresh, index_of))
        if change.empty:
            continue
        _check(change)
        refs: dict[str, int | None] = dict.fromkeys(change.emptied)
        refs |= {part.spec.name: len(parts) + n for n, part in enumerate(fresh)}
        parts += fresh
        rows.append(_row(change, refs))
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return Plan(tuple(rows), tuple(parts), hashlib.sha256(text.encode()).digest())


def _check(change: Change) -> None:
    if change.operation == "update" and not change.table.mutable:
        raise UsageError(f"{change.owner} is append-only: derive it from Mutable to change it")


def _row(change: Change, refs: Mapping[str, int | None]) -> RowPlan:
    table, expected = change.table, change.expected_version
    return RowPlan(table, change.operation, change.ref_id, change.id, expected, change.columns, refs)


def _blobs(i: int, change: Change, measured: Mapping[Key, MeasuredSource]) -> list[PartPlan]:
    fresh = []
    for name, blob in change.blobs.items():
        source, facts = measured[change.ref_id, name], _facts(change, name, blob)
        spec = change.table.parts[name]
        fresh.append(PartPlan(i, spec, source.size, source.sha256, *facts, source=source))
    return fresh


def _facts(change: Change, name: str, blob: Blob) -> tuple[str, str | None]:
    media_type = blob.media_type or change.table.parts[name].media_type or ""
    if not _MEDIA_TYPE(media_type):
        raise ValidationError(
            f"{media_type!r} is not a media type, such as text/markdown", field=change.where(name)
        )
    try:
        disposition(blob.filename, inline=False)
    except ValidationError as error:
        raise ValidationError(str(error), field=change.where(name)) from error
    return media_type, blob.filename


def _documents(i: int, change: Change, bodies: Mapping[Key, Body]) -> list[PartPlan]:
    fresh = []
    for name, made in change.documents.items():
        spec = change.table.parts[name]
        fresh.append(PartPlan(i, spec, made.size, made.sha256, body=made.body, links=_links(change, name)))
    for name in change.relinked():
        if (change.ref_id, name) in bodies:
            known, body = change.stored[name], bodies[change.ref_id, name]
            spec, digest, links = change.table.parts[name], bytes.fromhex(known.sha256), _links(change, name)
            kept = PartPlan(i, spec, known.size, digest, body=body, expires_on=known.expires_on, links=links)
            fresh.append(kept)
    return fresh


def _links(change: Change, document: str) -> dict[str, Any]:
    links = {}
    for name in change.table.parts[document].links:
        known = change.stored.get(name)
        if known is not None and name not in change.blobs.keys() | change.emptied:
            links[name] = {"key": known.key, "size": known.size, "sha256": known.sha256}
    return links


def _identity(change: Change, fresh: Sequence[PartPlan], index_of: Mapping[str, int]) -> list[Any]:
    """Tell what the fingerprint counts: the record as it shall be, not the ids minted for this object.

    What already is as it shall be counts too: after a crash the same request finds less to change.
    """
    values = {}
    for name, value in change.declared.items():
        column = change.table.columns[name]
        own = index_of.get(value) if column.reference and value is not None else None
        values[name] = value if own is None else {"row": own}
    parts = {name: known.sha256 for name, known in change.stored.items() if name not in change.emptied}
    parts |= {part.spec.name: _content_identity(part, change.blobs.get(part.spec.name)) for part in fresh}
    ref_id = None if change.operation == "insert" else change.ref_id
    return [change.table.name, change.operation, ref_id, values, parts]


def _content_identity(part: PartPlan, blob: Blob | None) -> str:
    if blob is not None and not blob.rereadable:
        return f"stream:{part.media_type}"
    return part.sha256.hex()
