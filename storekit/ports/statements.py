"""What flows ask of Postgres, as plain data: calls of the write API, and reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function of storekit's write API: one transaction, one answer."""

    function: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Select:
    """Rows of one table of one tenant by ref_id, with what the ledger knows of the named parts.

    `columns` maps a column's name to its SQL type; `parts` names the fields whose ledger rows are joined
    into `<field>_part`. Deleted rows come too: the flow decides.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    ref_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """As `Select`, by the values of some columns; `key` maps a column's name to its SQL type.

    What matches nothing is absent, and what matches several rows has them all.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    key: tuple[tuple[str, str], ...]
    values: tuple[tuple[Any, ...], ...]
    """Encoded values of the key, of every row that is looked for."""


@dataclass(frozen=True, slots=True)
class Via:
    """The table that a column refers to, by its id."""

    column: str
    table: str
    soft_delete: bool


@dataclass(frozen=True, slots=True)
class Locate:
    """Where the bytes of one blob field are, of many records: the hot path, with nothing else in it.

    With `via` the field is that of the record which each one refers to.
    """

    table: str
    field: str
    soft_delete: bool
    ref_ids: tuple[str, ...]
    via: Via | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """The last events of one record, newest first."""

    table: str
    ref_id: str
    limit: int


@dataclass(frozen=True, slots=True)
class Report:
    """All rows of a named report over all tenants. Reading it leaves an event."""

    name: str
    actor: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The table that a condition on a parent's ref_id looks the parent up in."""

    table: str
    shared: bool
    """Whether its rows belong to the nil tenant."""
    soft_delete: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """What one column of a record must be like."""

    column: str
    kind: str
    """The column's SQL type."""
    operator: str
    values: tuple[Any, ...] = ()
    """Encoded as the column's values are."""
    parent: Parent | None = None

    @property
    def comparable(self) -> bool:
        """Whether its values are no lists and no JSON."""
        return self.kind != "jsonb" and not self.kind.endswith("[]")


@dataclass(frozen=True, slots=True)
class Sort:
    """One column of an order; NULL stands last, or first where it descends."""

    column: str
    descending: bool
    nullable: bool


@dataclass(frozen=True, slots=True)
class Search:
    """Rows of one table of one tenant like this, in this order, after the one with the values `after`."""

    table: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]
    conditions: tuple[Condition, ...]
    order: tuple[Sort, ...]
    """Total; empty where there is one such row at most."""
    limit: int
    after: tuple[Any, ...] | None = None
    indexed: bool = True
    """Whether an index gives the order, so that nothing need ever be sorted."""
    pinned: bool = False
    """Whether no other index gives it, so that a plan may be kept."""


@dataclass(frozen=True, slots=True)
class Count:
    """The number of rows like this."""

    table: str
    conditions: tuple[Condition, ...]


Statement = Call | Select | Match | Search | Count | Locate | Events | Report
