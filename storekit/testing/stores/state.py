"""The state of the ledger in memory, changed in transactions, with a clock that can be moved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar
from uuid import UUID

from storekit.errors import ConfigurationError
from storekit.model.table.table import Column, Table
from storekit.testing.stores.clock import Clock

K = TypeVar("K")
V = TypeVar("V")

Row = dict[str, Any]
"""Column values, encoded as a plan sends them. A stored row is replaced, never changed."""
RowKey = tuple[str, UUID, str]
"""Table, tenant, ref_id."""


@dataclass(frozen=True, slots=True)
class WriteRow:
    """A row of `storekit.write`."""

    state: Literal["pending", "committed", "aborted"]
    created_on: datetime
    key: str | None = None
    fingerprint: bytes | None = None
    lease_until: datetime | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PartRow:
    """A row of `storekit.part`."""

    part_id: UUID
    write_id: UUID
    entity: str
    ref_id: str
    field: str
    key: str
    size: int
    sha256: bytes
    media_type: str | None
    filename: str | None
    expires_on: datetime | None
    state: Literal["pending", "committed", "aborted"] = "pending"
    version_id: str | None = None
    superseded_on: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one row, as in the view `storekit.event`."""

    occurred_on: datetime
    type: str
    version: int
    actor: str
    on_behalf_of: str | None = None
    reason: str | None = None
    context: dict[str, Any] | None = None
    before: Row | None = None
    after: Row | None = None


class State:
    """The tables of the ledger. Thread-safe: one transaction runs at a time."""

    def __init__(self) -> None:
        self.clock = Clock()
        """Replaces `storekit.now()`; read once in each transaction."""
        self.tables: dict[str, Table] = {}
        self.members: dict[tuple[str, str], set[str]] = {}
        """Members of enums by table and column: those of all versions of the class, as in Postgres."""
        self.writes: dict[tuple[UUID, UUID], WriteRow] = {}
        self.keys: dict[tuple[UUID, str], UUID] = {}
        """The pending or committed write that holds an idempotency key."""
        self.parts: dict[tuple[UUID, UUID], PartRow] = {}
        self.staged: dict[tuple[UUID, UUID], tuple[UUID, ...]] = {}
        """Part ids by tenant and write."""
        self.rows: dict[RowKey, Row] = {}
        self.ids: dict[RowKey, str] = {}
        """The ref_id by table, tenant and id."""
        self.events: dict[RowKey, tuple[Event, ...]] = {}
        # Reentrant: a unit of work holds the lock until it ends, and its thread may call other methods
        # meanwhile.
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self, tenant: UUID, actor: str) -> Iterator[Transaction]:
        """Run a transaction: commit at the end, roll back if anything is raised."""
        transaction = self.begin(tenant, actor)
        try:
            yield transaction
        except BaseException:
            self.rollback(transaction)
            raise
        self.commit()

    def begin(self, tenant: UUID, actor: str) -> Transaction:
        """Begin a transaction, which holds the lock until it ends: transactions run in turn."""
        self._lock.acquire()
        try:
            return Transaction(self, tenant, actor)
        except BaseException:
            self._lock.release()
            raise

    def commit(self) -> None:
        """End the transaction that is running and keep its changes."""
        self._lock.release()

    def rollback(self, transaction: Transaction) -> None:
        """End a transaction and undo its changes."""
        transaction.undo()
        self._lock.release()


class Transaction:
    """One transaction. All changes go through `put` and `drop`, which record how to undo them."""

    def __init__(self, state: State, tenant: UUID, actor: str) -> None:
        self.state, self.tenant, self.actor = state, tenant, actor
        self.now = state.clock.now()
        self.on_behalf_of: str | None = None
        self.context: str | None = None
        """A JSON object, as text."""
        self.reason: str | None = None
        self.freed: set[tuple[str, str]] = set()
        """Keys that rows gave up until their operation writes them: name of the key, ref_id."""
        self._undo: list[Callable[[], object]] = []

    def put(self, space: dict[K, V], key: K, value: V) -> None:
        """Set one entry."""
        if key in space:
            self._undo.append(partial(space.__setitem__, key, space[key]))
        else:
            self._undo.append(partial(space.pop, key))
        space[key] = value

    def drop(self, space: dict[K, V], key: K) -> None:
        """Remove one entry, if it is there."""
        if key in space:
            self._undo.append(partial(space.__setitem__, key, space.pop(key)))

    def undo(self) -> None:
        """Undo all changes, the last one first."""
        while self._undo:
            self._undo.pop()()

    def table(self, name: str) -> Table:
        """Return a declared table."""
        if name not in self.state.tables:
            raise ConfigurationError(
                f"table {name} is not declared in this memory store; pass its class to memory_store(...)"
            )
        return self.state.tables[name]

    def row(self, table: str, ref_id: str) -> Row | None:
        """Return a row of this tenant, or None."""
        return self.state.rows.get((table, self.tenant, ref_id))

    def parts_of(self, write_id: UUID) -> list[PartRow]:
        """Return the parts of a write."""
        ids = self.state.staged.get((self.tenant, write_id), ())
        return [self.state.parts[self.tenant, part_id] for part_id in ids]

    def referring(self, table: Table) -> Iterator[tuple[Table, Column]]:
        """Yield the columns that refer to a table."""
        for other in self.state.tables.values():
            for column in other.columns.values():
                if column.reference is not None and column.reference.name == table.name:
                    yield other, column
