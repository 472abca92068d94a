"""The statements that flows send to Postgres, as plain data: calls of the write API, and reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Origin:
    """Who makes a change, on whose behalf, in which context and why; the events of the change keep it."""

    actor: str
    on_behalf_of: str | None = None
    context: str | None = None
    """A JSON object, as text."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function of storekit's write API: one transaction, one reply."""

    function: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Select:
    """Read rows of one table of one tenant by ref_id, with the ledger's facts about their parts.

    `columns` maps a column's name to its SQL type. Each field in `parts` is returned as "part:<field>", a
    `StoredPart` or None. Deleted rows are returned too: the flow decides.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    ref_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Read rows as `Select` does, by the values of some columns; `key` maps a column's name to its SQL type.

    Values that match no row are absent from the result; values that match several rows return all of them.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    key: tuple[tuple[str, str], ...]
    values: tuple[tuple[Any, ...], ...]
    """The encoded key of each row that is looked up."""


@dataclass(frozen=True, slots=True)
class Via:
    """A reference to follow: the column that holds an id, and the table that it refers to."""

    column: str
    table: str
    soft_delete: bool


@dataclass(frozen=True, slots=True)
class Locate:
    """Look up where the bytes of one blob field are, for many records. The hot path of URLs.

    With `via` the field belongs to the record that each record refers to.
    """

    table: str
    field: str
    soft_delete: bool
    ref_ids: tuple[str, ...]
    via: Via | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """Read the last events of one record, newest first."""

    table: str
    ref_id: str
    limit: int


@dataclass(frozen=True, slots=True)
class Report:
    """Read all rows of a named report over all tenants.

    The first statement with a `read_id` records the read as an event and returns no row; the next one, in
    another transaction, returns the rows.
    """

    name: str
    actor: str
    read_id: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The table of a parent, for a condition on the parent's ref_id."""

    table: str
    shared: bool
    """Whether its rows belong to the nil tenant."""
    soft_delete: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one column."""

    column: str
    kind: str
    """The column's SQL type."""
    operator: str
    values: tuple[Any, ...] = ()
    """Encoded like the column's values."""
    parent: Parent | None = None

    @property
    def comparable(self) -> bool:
        """Whether its values can be compared: not lists and not JSON."""
        return self.kind != "jsonb" and not self.kind.endswith("[]")


@dataclass(frozen=True, slots=True)
class Sort:
    """One column of an order. NULLs come last, or first if it is descending."""

    column: str
    descending: bool
    nullable: bool
    """Whether a row may have NULL, even if the class declares the column without None."""


@dataclass(frozen=True, slots=True)
class Search:
    """Read a page of rows that meet the conditions, in this order, after the row with the values `after`."""

    table: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    conditions: tuple[Condition, ...]
    order: tuple[Sort, ...]
    """Total; empty if at most one row can meet the conditions."""
    limit: int
    after: tuple[Any, ...] | None = None
    indexed: bool = True
    """Whether an index has the order, so that nothing is sorted."""
    pinned: bool = False
    """Whether only one index has the order, so that Postgres may keep the plan."""
    ties: bool = False
    """Whether the index has all of the order but its last column, which matters only among NULLs."""


@dataclass(frozen=True, slots=True)
class Count:
    """Count the rows that meet the conditions."""

    table: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Take records of queues that no other transaction has locked, and write some columns of them.

    The reply is that of `commit_v1`, or None if no record was free.
    """

    table: str
    origin: Origin
    write_id: UUID
    queues: tuple[Search, ...]
    """Where to look, in turn, each in its order."""
    values: Mapping[str, Any]
    """The encoded columns to write."""
    limit: int
    lease: tuple[str, timedelta] | None = None
    """A column that gets the time at which the lease ends, by the clock of the database."""


@dataclass(frozen=True, slots=True)
class Written:
    """Read, as `Select` does, the rows of a table that a write of the same transaction has written."""

    table: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    write_id: UUID


@dataclass(frozen=True, slots=True)
class Work:
    """A call of a function for the worker's login, alone in its trip. The reply is JSON."""

    name: str
    values: tuple[Any, ...]
    timeout: timedelta
    """After which the server ends the call."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Read how far the sequencer is, and whether the event of one record is still to be moved."""

    table: str | None = None
    ref_id: str | None = None
    version: int | None = None


Statement = (
    Call | Select | Match | Search | Count | Locate | Events | Report | Claim | Written | Work | Progress
)
