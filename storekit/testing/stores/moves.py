"""Transitions in memory: which of them were made before, as `storekit.made_moves` decides in Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storekit.errors import InvalidTransition
from storekit.model.table.table import Table
from storekit.testing.stores.state import Row, Transaction


def made_moves(
    tx: Transaction, table: Table, field: str, rows: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """Return {ref_id: version} of the rows whose last change was the transition that is asked for.

    Raises:
        InvalidTransition: a row is in the state for another reason, and staying there is not declared.
    """
    made: dict[str, int] = {}
    for asked in sorted(rows, key=lambda row: str(row["ref_id"])):
        found, to = tx.row(table.name, asked["ref_id"]), asked[field]
        allowed = table.machine.allowed.get(to, ()) if table.machine else ()
        if found is None or found.get("deleted_on") or found[field] != to or to in allowed:
            continue
        if not _is_repeated(tx, table, field, found, asked["expected_version"]):
            raise InvalidTransition(table.name, asked["ref_id"], to, to, tuple(sorted(allowed)))
        made[asked["ref_id"]] = found["version"]
    return made


def _is_repeated(tx: Transaction, table: Table, field: str, found: Row, expected: int | None) -> bool:
    version = found["version"]
    if expected is not None and version - expected not in {0, 1}:
        return False
    last = tx.state.events[table.name, tx.tenant, found["ref_id"]][-1]
    moved = last.type == f"{table.name}.transitioned" and (last.after or {}).get(field) == found[field]
    return moved and last.version == version
