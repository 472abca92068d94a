"""The write API in memory: stage, renew, commit, transition, abandon."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from storekit.errors import Conflict, NotFound, UsageError
from storekit.model.table.table import Table
from storekit.testing.stores.claims import (
    LOST,
    Arguments,
    Reply,
    abort_pending,
    claim,
    forget,
    insert_write,
    own_write,
    too_old,
)
from storekit.testing.stores.rows import check_references, check_target, write_rows
from storekit.testing.stores.state import PartRow, Transaction, WriteRow
from storekit.testing.stores.unique import free_keys

_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(days=1)
_OLDEST_RENEWED = timedelta(hours=24)


def stage(tx: Transaction, given: Arguments) -> Reply:
    """Record a write and its parts, before any content is sent."""
    write_id, lease = given["p_write_id"], _lease(given)
    outcome = own_write(tx, write_id) or insert_write(tx, given, lease)
    if outcome is None:
        # Claim the key before checking the targets: a retry of a committed save must replay, not conflict.
        refused = _refused(tx, given["p_targets"])
        if refused is not None:
            forget(tx, write_id)
            return refused
        _insert_parts(tx, write_id, given["p_parts"])
    elif outcome["outcome"] != "pending":
        return outcome
    until = tx.state.writes[tx.tenant, write_id].lease_until
    parts = {str(part.part_id): _told(part) for part in tx.parts_of(write_id)}
    return {"outcome": "staged", **_times(tx, until), "parts": parts}


def renew(tx: Transaction, given: Arguments) -> Reply:
    """Extend a lease; it never becomes shorter."""
    write_id, lease = given["p_write_id"], _lease(given)
    write = tx.state.writes.get((tx.tenant, write_id))
    if write is None or write.state != "pending" or write.created_on <= tx.now - _OLDEST_RENEWED:
        return LOST
    until = max(write.lease_until or tx.now, tx.now + lease)
    tx.put(tx.state.writes, (tx.tenant, write_id), replace(write, lease_until=until))
    return {"outcome": "renewed", **_times(tx, until)}


def commit(tx: Transaction, given: Arguments) -> Reply:
    """Claim the write, then make its rows and parts visible."""
    write_id, parts, operations = given["p_write_id"], given["p_parts"] or [], given["p_ops"]
    tx.on_behalf_of, tx.context = given.get("p_on_behalf_of"), given.get("p_context")
    outcome = claim(tx, given, staged=bool(parts))
    if outcome is not None:
        return outcome
    _commit_parts(tx, write_id, parts, operations)
    if any(operation.get("exchange") for operation in operations):
        _check_versions(tx, operations)
        free_keys(tx, operations)
    rows = [row for operation in operations for row in _write(tx, operation)]
    for operation in operations:
        if operation.get("circle") and operation["op"] in {"insert", "update"}:
            check_references(tx, tx.table(operation["entity"]), operation["rows"])
    places = [place for operation in operations for place in operation.get("places", ())]
    result = {"rows": rows, **({"places": places} if places else {})}
    write = replace(tx.state.writes[tx.tenant, write_id], result=result)
    tx.put(tx.state.writes, (tx.tenant, write_id), write)
    return {"outcome": "committed", "now": tx.now.isoformat(), "rows": rows}


def _check_versions(tx: Transaction, operations: list[Reply]) -> None:
    """Raise for the first updated row that is missing or has another version: it may also violate a key."""
    updates = [(each["entity"], row) for each in operations if each["op"] == "update" for row in each["rows"]]
    for entity, row in sorted(updates, key=lambda update: (update[0], update[1]["ref_id"])):
        check_target(tx, tx.table(entity), "update", row)


def _write(tx: Transaction, operation: Reply) -> list[list[Any]]:
    """Apply one operation, whose events get its reason."""
    tx.reason = operation.get("reason") or None
    try:
        return write_rows(tx, operation)
    finally:
        tx.reason = None


def transition(tx: Transaction, given: Arguments) -> Reply:
    """Change the state of a row."""
    table = tx.table(given["p_entity"])
    if table.machine is None:
        raise UsageError(f"table {table.name} has no state machine")
    field = table.machine.field
    target = {
        "ref_id": given["p_ref_id"],
        field: given["p_to"],
        "expected_version": given["p_expected_version"],
    }
    change = {"entity": table.name, "op": "transition", "columns": [field], "refs": [], "rows": [target]}
    change |= {"reason": given["p_reason"]}
    return commit(tx, {**given, "p_key": None, "p_fingerprint": None, "p_parts": None, "p_ops": [change]})


def abandon(tx: Transaction, given: Arguments) -> Reply:
    """Settle a write whose outcome the caller does not know."""
    write_id = given["p_write_id"]
    if (tx.tenant, write_id) not in tx.state.writes:
        if too_old(tx, write_id):
            return {"outcome": "unknown"}
        tx.put(tx.state.writes, (tx.tenant, write_id), WriteRow("aborted", tx.now))
    abort_pending(tx, write_id)
    write = tx.state.writes[tx.tenant, write_id]
    if write.state == "committed":
        return {"outcome": "committed", "write_id": str(write_id), "result": write.result}
    return {"outcome": write.state}


def _lease(given: Arguments) -> timedelta:
    lease: timedelta = given["p_lease"]
    if not _SHORTEST <= lease <= _LONGEST:
        raise UsageError(f"lease must be from 1 ms to 1 day, got {lease}")
    return lease


def _times(tx: Transaction, until: datetime | None) -> Reply:
    return {"now": tx.now.isoformat(), "sign_until": until.isoformat() if until else None}


def _told(part: PartRow) -> Reply:
    return {"key": part.key, "expires_on": part.expires_on.isoformat() if part.expires_on else None}


def _refused(tx: Transaction, targets: list[Reply]) -> Reply | None:
    """Return the outcome for the first row that does not exist or has another version."""
    for target in sorted(targets, key=lambda target: (target["entity"], target["ref_id"])):
        try:
            check_target(tx, tx.table(target["entity"]), "update", target)
        except NotFound:
            return {"outcome": "missing", "entity": target["entity"], "ref_id": target["ref_id"]}
        except Conflict as lost:
            facts = {"expected": lost.expected, "found": lost.found}
            return {"outcome": "conflict", "entity": target["entity"], "ref_id": target["ref_id"], **facts}
    return None


def _insert_parts(tx: Transaction, write_id: UUID, parts: list[Reply]) -> None:
    for given in parts:
        part = _part(tx, tx.table(given["entity"]), write_id, given)
        tx.put(tx.state.parts, (tx.tenant, part.part_id), part)
    staged = tuple(UUID(given["part_id"]) for given in parts)
    tx.put(tx.state.staged, (tx.tenant, write_id), staged)


def _part(tx: Transaction, table: Table, write_id: UUID, given: Reply) -> PartRow:
    spec = table.parts.get(given["field"])
    expires_on = datetime.fromisoformat(given["expires_on"]) if given["expires_on"] else None
    if spec is None or (expires_on and not spec.ttl):
        raise UsageError(f"{table.name}.{given['field']} is not declared as a part, or expires without a ttl")
    if spec.ttl:
        expires_on = min(expires_on or tx.now + spec.ttl, tx.now + spec.ttl)
    path = "/".join([str(tx.tenant), table.name, given["ref_id"], spec.name, given["part_id"]])
    return PartRow(
        UUID(given["part_id"]),
        write_id,
        table.name,
        given["ref_id"],
        spec.name,
        spec.collection or path,
        given["size"],
        bytes.fromhex(given["sha256"].removeprefix("\\x")),
        given["media_type"],
        given["filename"],
        expires_on,
    )


def _commit_parts(tx: Transaction, write_id: UUID, parts: list[Reply], operations: list[Reply]) -> None:
    """Commit the parts of a write, after checking that rows and parts match one to one."""
    named = [
        (operation["entity"], row["ref_id"], field, UUID(part_id))
        for operation in operations
        for field in operation["refs"]
        for row in operation["rows"]
        if (part_id := row[f"{field}_ref"]) is not None
    ]
    staged = [(part.entity, part.ref_id, part.field, part.part_id) for part in tx.parts_of(write_id)]
    versions = {UUID(part["part_id"]): part["version_id"] for part in parts}
    if sorted(named) != sorted(staged) or versions.keys() != {part_id for *_, part_id in staged}:
        raise UsageError(f"rows and staged parts of write {write_id} do not match one to one")
    for part in tx.parts_of(write_id):
        flipped = replace(part, state="committed", version_id=versions[part.part_id])
        tx.put(tx.state.parts, (tx.tenant, part.part_id), flipped)
