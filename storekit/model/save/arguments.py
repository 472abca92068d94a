"""Build the arguments of storekit's write functions from a write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from storekit.model.save.order import Order
from storekit.model.save.plan import Plan, RowPlan, Write


def stage_parts(write: Write) -> list[dict[str, Any]]:
    """Return the parts to stage."""
    plan = write.plan
    return [
        {
            "part_id": str(part_id),
            "entity": plan.rows[part.row].table.name,
            "ref_id": plan.rows[part.row].ref_id,
            "field": part.spec.name,
            "size": part.size,
            "sha256": "\\x" + part.sha256.hex(),
            "media_type": part.media_type,
            "filename": part.filename,
            "expires_on": part.expires_on.isoformat() if part.expires_on else None,
        }
        for part, part_id in zip(plan.parts, write.part_ids, strict=True)
    ]


def stage_targets(plan: Plan) -> list[dict[str, Any]]:
    """Return the rows that must exist with their expected version, which is checked before the upload."""
    return [
        {"entity": row.table.name, "ref_id": row.ref_id, "expected_version": row.expected_version}
        for row in plan.rows
        if row.operation in {"update", "delete", "check"}
    ]


def commit_parts(write: Write, version_ids: Sequence[str | None]) -> list[dict[str, Any]]:
    """Return the version that its store gave to each part."""
    return [
        {"part_id": str(part_id), "version_id": version_id}
        for part_id, version_id in zip(write.part_ids, version_ids, strict=True)
    ]


def commit_operations(write: Write) -> list[dict[str, Any]]:
    """Group rows with the same columns: each group is one statement, whatever its number of rows.

    The rows are in the order of `Order`, so the caller can pass records that refer to each other in any
    order. If tables refer to each other in a circle, the operations are marked `circle`: the commit then
    checks references at its end. If rows may exchange values of a unique key, they are marked `exchange`: the
    commit then frees these values first. A write with a key also gets the place of each row in the caller's
    list, which the ledger keeps for a replay; rows that are only checked are not part of its result.
    """
    plan = write.plan
    order, groups = Order(plan), dict[tuple[Any, ...], list[RowPlan]]()
    mark = {name: True for name in ("circle", "exchange") if getattr(order, name)}
    for place, row in sorted(((order.place(row), row) for row in plan.rows), key=itemgetter(0)):
        groups.setdefault((place, row.table.name, row.operation, row.reason, *_shape(row)), []).append(row)
    return [
        {
            "entity": entity,
            "op": operation,
            "columns": list(columns),
            "refs": list(refs),
            "rows": [_values(row, write, refs) for row in rows],
            **mark,
            **({} if reason is None else {"reason": reason}),
            **({} if write.key is None or operation == "check" else {"places": [row.change for row in rows]}),
        }
        for (_, entity, operation, reason, columns, refs), rows in groups.items()
    ]


def _shape(row: RowPlan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    refs = row.table.parts if row.operation == "insert" else row.refs
    return tuple(row.values), tuple(sorted(refs))


def _values(row: RowPlan, write: Write, refs: Sequence[str]) -> dict[str, Any]:
    key: Mapping[str, Any] = {"ref_id": row.ref_id, "expected_version": row.expected_version}
    if row.operation == "insert":
        key = {"ref_id": row.ref_id, "id": str(row.id)}
    return {**key, **row.values, **{f"{field}_ref": _part_id(row, write, field) for field in refs}}


def _part_id(row: RowPlan, write: Write, field: str) -> str | None:
    index = row.refs.get(field)
    return None if index is None else str(write.part_ids[index])
