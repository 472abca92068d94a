"""Claims of writes and idempotency keys in memory.

They have the same conditions as `0006_claims.sql`. The contract tests run the same cases on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from storekit.testing.stores.state import Transaction, WriteRow

Arguments = Mapping[str, Any]
Reply = dict[str, Any]

_OLDEST_ID = timedelta(days=1)
LOST: Reply = {"outcome": "lost"}


def claim(tx: Transaction, given: Arguments, *, staged: bool) -> Reply | None:
    """Mark the write as committed and return None, or return why that is not possible.

    A commit after its lease expired succeeds if no other writer has taken the write over.
    """
    write_id = given["p_write_id"]
    if not staged:
        old = too_old(tx, write_id)
        outcome = own_write(tx, write_id) if old else insert_write(tx, given, None)
        if outcome is None or outcome["outcome"] != "pending":
            return outcome
    write = tx.state.writes.get((tx.tenant, write_id))
    if write is None or write.state != "pending":
        return own_write(tx, write_id) or LOST
    tx.put(tx.state.writes, (tx.tenant, write_id), replace(write, state="committed"))
    return None


def own_write(tx: Transaction, write_id: UUID) -> Reply | None:
    """Return the outcome of an existing write; None if it does not exist and its id is not too old to begin a
    write.

    An absent write with an old id may have been finished and deleted, so it counts as lost.
    """
    write = tx.state.writes.get((tx.tenant, write_id))
    if write is None:
        return {**LOST, "now": tx.now.isoformat()} if too_old(tx, write_id) else None
    match write.state:
        case "committed":
            return {"outcome": "replay", "write_id": str(write_id), "result": write.result}
        case "pending":
            return {"outcome": "pending"}
    return LOST


def insert_write(tx: Transaction, given: Arguments, lease: timedelta | None) -> Reply | None:
    """Insert a write if its key is free, and return None; without a lease it is committed at once."""
    write_id, key, fingerprint = given["p_write_id"], given["p_key"], given["p_fingerprint"]
    outcome = _free_key(tx, write_id, key, fingerprint) or own_write(tx, write_id)
    if outcome is not None:
        return outcome
    state, until = ("pending", tx.now + lease) if lease else ("committed", None)
    write = WriteRow(state, tx.now, key, fingerprint, until)  # type: ignore[arg-type]  # one of two literals
    tx.put(tx.state.writes, (tx.tenant, write_id), write)
    if key is not None:
        tx.put(tx.state.keys, (tx.tenant, key), write_id)
    return None


def _free_key(tx: Transaction, write_id: UUID, key: str | None, fingerprint: bytes) -> Reply | None:
    """Return the outcome if another write holds the key.

    A holder whose lease has expired is aborted, which frees the key; the sweep deletes its bytes.
    """
    holder = None if key is None else tx.state.keys.get((tx.tenant, key))
    if holder is None or holder == write_id:
        return None
    write = tx.state.writes[tx.tenant, holder]
    if write.fingerprint != fingerprint:
        return {"outcome": "mismatch"}
    if write.state == "committed":
        return {"outcome": "replay", "write_id": str(holder), "result": write.result}
    assert write.lease_until is not None  # noqa: S101 it is pending
    if write.lease_until >= tx.now:
        return {"outcome": "held", "lease_left": (write.lease_until - tx.now).total_seconds()}
    abort_pending(tx, holder)
    return None


def abort_pending(tx: Transaction, write_id: UUID) -> None:
    """Abort a pending write and its parts, which frees its key."""
    write = tx.state.writes[tx.tenant, write_id]
    if write.state != "pending":
        return
    tx.put(tx.state.writes, (tx.tenant, write_id), replace(write, state="aborted"))
    if write.key is not None:
        tx.drop(tx.state.keys, (tx.tenant, write.key))
    for part in tx.parts_of(write_id):
        tx.put(tx.state.parts, (tx.tenant, part.part_id), replace(part, state="aborted"))


def forget(tx: Transaction, write_id: UUID) -> None:
    """Remove a write that was inserted in this transaction."""
    key = tx.state.writes[tx.tenant, write_id].key
    if key is not None:
        tx.drop(tx.state.keys, (tx.tenant, key))
    tx.drop(tx.state.writes, (tx.tenant, write_id))


def too_old(tx: Transaction, write_id: UUID) -> bool:
    """Return whether an id is too old to begin a write."""
    return tx.state.clock.time_of(write_id) < tx.now - _OLDEST_ID
