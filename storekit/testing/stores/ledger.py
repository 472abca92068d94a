"""The ledger port in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any
from uuid import UUID

from storekit.errors import UsageError
from storekit.model.values.codec import comparable, parse
from storekit.ports.statements import (
    Call,
    Claim,
    Count,
    Events,
    Locate,
    Match,
    Origin,
    Progress,
    Report,
    Search,
    Select,
    Statement,
    Via,
    Work,
    Written,
)
from storekit.ports.stores import BlobRef, Session, StoredPart
from storekit.testing.stores import writes
from storekit.testing.stores.search import matching, search
from storekit.testing.stores.state import PartRow, Row, State, Transaction

_FUNCTIONS: Mapping[str, Callable[[Transaction, Mapping[str, Any]], dict[str, Any]]] = {
    "stage_v1": writes.stage,
    "renew_v1": writes.renew,
    "commit_v1": writes.commit,
    "abandon_v1": writes.abandon,
    "transition_v1": writes.transition,
}


class MemoryLedger:
    """The write API and the reads in memory, for sync and async stores. Thread-safe."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        with self._state.transaction(tenant, actor) as tx:
            # Copies: callers may change what they get, and the state must not change with it.
            return [deepcopy(_answer(tx, statement)) for statement in statements]

    def session(self, tenant: UUID, origin: Origin, within: Any = None) -> Session:
        if within is not None:
            raise UsageError("a memory store has no connection to join; test this with Store.embedded")
        return MemorySession(self._state, tenant, origin)

    async def close(self) -> None:
        """Do nothing: another store may use the same state."""


class MemorySession:
    """Several calls of the write API in one transaction. There is no SQL in memory."""

    def __init__(self, state: State, tenant: UUID, origin: Origin) -> None:
        self._state, self._tenant, self._actor = state, tenant, origin.actor
        self._tx: Transaction | None = None

    @property
    def connection(self) -> Any:
        raise UsageError("a memory store has no connection; test code that runs SQL with Store.embedded")

    async def begin(self, calls: Sequence[Call]) -> list[Any]:
        self._tx = self._state.begin(self._tenant, self._actor)
        return await self.pipeline(calls)

    async def pipeline(self, calls: Sequence[Call]) -> list[Any]:
        assert self._tx is not None  # noqa: S101 it was begun
        return [deepcopy(_answer(self._tx, each)) for each in calls]

    async def ask(self, tenant: UUID, statements: Sequence[Statement]) -> list[Any]:
        with self._state.transaction(tenant, self._actor) as tx:
            return [deepcopy(_answer(tx, each)) for each in statements]

    async def commit(self, writes: Sequence[UUID] = ()) -> None:
        self._tx = None
        self._state.commit()

    async def rollback(self) -> None:
        if self._tx is not None:
            transaction, self._tx = self._tx, None
            self._state.rollback(transaction)


def _answer(tx: Transaction, statement: Statement) -> Any:
    match statement:
        case Call():
            if statement.function == "lookup_v1":
                return _lookup(tx, statement.arguments)
            return _FUNCTIONS[statement.function](tx, statement.arguments)
        case Select():
            return _select(tx, statement)
        case Match():
            return _match(tx, statement)
        case Search():
            return [_decoded(tx, statement, row) for row in search(tx, statement)]
        case Count():
            return len(matching(tx, statement.table, statement.conditions))
        case Locate():
            return _locate(tx, statement)
        case Claim():
            return _claim(tx, statement)
        case Written():
            write = tx.state.writes.get((tx.tenant, statement.write_id))
            done = write.result["rows"] if write and write.result else ()
            found = (tx.row(statement.table, ref_id) for _, ref_id, _ in done)
            return [_decoded(tx, statement, row) for row in found if row is not None]
        case Report():
            raise UsageError(
                f"the report {statement.name} is a view in Postgres; a memory store has no reports"
            )
        case Progress():
            # every event is in the log at once: nothing commits later than it began
            events = sum(map(len, tx.state.events.values()))
            return {"pos": events, "complete_through": tx.now, "waiting": False}
        case Work():
            return {"term": None}  # a relay has nothing to do
    return _events(tx, statement)


def _claim(tx: Transaction, statement: Claim) -> dict[str, Any] | None:
    free = [row["ref_id"] for queue in statement.queues for row in search(tx, queue)][: statement.limit]
    if not free:
        return None
    values = dict(statement.values)
    if statement.lease is not None:
        name, duration = statement.lease
        values[name] = (tx.now + duration).isoformat()
    operation = {
        "entity": statement.table,
        "op": "update",
        "columns": [*values],
        "refs": [],
        "rows": [{"ref_id": ref_id, "expected_version": None, **values} for ref_id in free],
        "reason": statement.origin.reason,
    }
    claim: dict[str, Any] = {"p_key": None, "p_fingerprint": None, "p_parts": None, "p_ops": [operation]}
    claim |= {"p_on_behalf_of": statement.origin.on_behalf_of, "p_context": statement.origin.context}
    return writes.commit(tx, {"p_write_id": statement.write_id, **claim})


def _lookup(tx: Transaction, given: Mapping[str, Any]) -> dict[str, Any] | None:
    table = tx.table(given["p_entity"])
    found = [
        {"tenant_id": str(tenant), "ref_id": ref_id}
        for (name, tenant, ref_id), row in tx.state.rows.items()
        if name == table.name and row[str(table.lookup)] == given["p_value"] and not row.get("deleted_on")
    ]
    return found[0] if len(found) == 1 else None


def _select(tx: Transaction, statement: Select) -> list[dict[str, Any]]:
    tx.table(statement.table)
    found = (tx.row(statement.table, ref_id) for ref_id in dict.fromkeys(statement.ref_ids))
    return [_decoded(tx, statement, row) for row in found if row is not None]


def _match(tx: Transaction, statement: Match) -> list[dict[str, Any]]:
    tx.table(statement.table)
    names, kinds = zip(*statement.key, strict=True)
    wanted = {tuple(map(comparable, values, kinds)) for values in statement.values}
    return [
        _decoded(tx, statement, row)
        for (name, tenant, _), row in tx.state.rows.items()
        if (name, tenant) == (statement.table, tx.tenant)
        and tuple(map(comparable, (row[column] for column in names), kinds)) in wanted
    ]


def _locate(tx: Transaction, statement: Locate) -> dict[str, BlobRef | None]:
    tx.table(statement.table)
    found = {ref_id: tx.row(statement.table, ref_id) for ref_id in statement.ref_ids}
    alive = {ref_id: row for ref_id, row in found.items() if row is not None and not row.get("deleted_on")}
    owners = {ref_id: _owner(tx, statement.via, row) for ref_id, row in alive.items()}
    return {ref_id: _blob(tx, row.get(f"{statement.field}_ref")) for ref_id, row in owners.items()}


def _owner(tx: Transaction, via: Via | None, row: Row) -> Row:
    """Follow the reference, if there is one. A missing or deleted target has no fields."""
    if via is None:
        return row
    tx.table(via.table)
    ref_id = tx.state.ids.get((via.table, tx.tenant, str(row[via.column])))
    found = tx.row(via.table, ref_id) if ref_id else None
    return {} if found is None or found.get("deleted_on") else found


def _blob(tx: Transaction, part_id: str | None) -> BlobRef | None:
    if part_id is None:
        return None
    part: PartRow = tx.state.parts[tx.tenant, UUID(part_id)]
    media_type = part.media_type or ""
    return BlobRef(part.key, part.version_id or "", part.size, part.sha256, media_type, part.filename)


def _decoded(tx: Transaction, statement: Select | Match | Search | Written, row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {"ref_id": row["ref_id"]}
    for name, kind in statement.columns:
        values[name] = parse(kind, row.get(name))
    for field in statement.parts:
        values[f"part:{field}"] = _part(tx, row.get(f"{field}_ref"))
    return values


def _part(tx: Transaction, part_id: str | None) -> StoredPart | None:
    if part_id is None:
        return None
    part: PartRow = tx.state.parts[tx.tenant, UUID(part_id)]
    on = part.expires_on
    return StoredPart(
        part.part_id,
        part.key,
        part.version_id,
        part.size,
        part.sha256.hex(),
        part.media_type,
        part.filename,
        on,
        on is not None and on <= tx.now,
        part.state,
        part.write_id,
    )


def _events(tx: Transaction, statement: Events) -> list[dict[str, Any]]:
    found = tx.state.events.get((statement.table, tx.tenant, statement.ref_id), ())
    return [asdict(event) for event in reversed(found[-statement.limit :])]
