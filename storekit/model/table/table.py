"""The declaration of a class as dataclasses: its table, columns, parts, references and state machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import TypeAdapter

from storekit.model.table.indexes import Index

OnDelete = Literal["restrict", "cascade", "set null"]
Scope = Literal["tenant", "global", "self"]
"""Owner of a record: a tenant, nobody ("global": all tenants can read it), or the record itself, which is a
tenant."""

BASE: Mapping[str, str] = {
    "id": "uuid",
    "ref_id": "text",
    "tenant_id": "uuid",
    "version": "bigint",
    "created_on": "timestamptz",
    "created_by": "text",
}
MUTABLE: Mapping[str, str] = {"updated_on": "timestamptz", "updated_by": "text"}
SOFT_DELETE: Mapping[str, str] = {"deleted_on": "timestamptz", "deleted_by": "text"}
RESERVED = {*BASE, *MUTABLE, *SOFT_DELETE, "parts_live"}


@dataclass(frozen=True, slots=True)
class Reference:
    """The target of a UUID column that is a foreign key."""

    name: str
    """Name of the target table."""
    scope: Scope
    """Scope of the target table; "tenant" if only the name of the table is known."""
    table: Table | None
    """The target table; None if only its name is known, or if it is the referring table itself.

    A `Table` that contained itself could not be compared or copied with `replace`; use `Table.target_of`.
    """
    on_delete: OnDelete


@dataclass(frozen=True, slots=True)
class Column:
    """A field stored in Postgres."""

    name: str
    sql: str
    nullable: bool
    enum: type[StrEnum] | None = None
    adapter: TypeAdapter[Any] | None = None
    """Converts the value of a jsonb column to JSON and back; None for other columns."""
    free: bool = False
    """Whether its type is `dict[str, Any]`, which says nothing about the values."""
    reference: Reference | None = None

    @property
    def ordered(self) -> bool:
        """Whether an index can order its values; it cannot order jsonb and arrays."""
        return self.adapter is None and not self.sql.endswith("[]")


@dataclass(frozen=True, slots=True)
class Part:
    """A field stored outside Postgres: a blob in S3 or a document in MongoDB."""

    name: str
    kind: Literal["blob", "document"]
    nullable: bool
    media_type: str | None = None
    collection: str | None = None
    ttl: timedelta | None = None
    links: tuple[str, ...] = ()
    free: bool = False
    """Whether it is a document of type `dict[str, Any]`, which says nothing about the values."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The states of a record and the changes between them that are allowed."""

    field: str
    allowed: Mapping[str, tuple[str, ...]]
    """The states that may follow each state; a state that is not a key is final."""
    initial: tuple[str, ...] = ()
    """States that a new record may have; empty means any."""


@dataclass(frozen=True, slots=True)
class Table:
    """The storage of one class."""

    name: str
    base: Mapping[str, str]
    columns: Mapping[str, Column]
    parts: Mapping[str, Part]
    mutable: bool
    soft_delete: bool
    line: str | None = None
    """Line of shipped migrations that creates the table; None means the user's own migrations."""
    scope: Scope = "tenant"
    indexes: tuple[Index, ...] = ()
    natural_key: tuple[str, ...] = ()
    """Columns of the natural key, which is unique per tenant; empty if the class declares none."""
    machine: Machine | None = None
    lookup: str | None = None
    """Column by which a record is found before its tenant is known."""
    reason_required: bool = False
    """Whether each change needs a reason."""

    @property
    def types(self) -> tuple[tuple[str, str], ...]:
        """Name and SQL type of every column, base columns first."""
        return (*self.base.items(), *((c.name, "text" if c.enum else c.sql) for c in self.columns.values()))

    def column(self, name: str) -> Column | None:
        """Return a column of the class, or a base column such as created_on; None if there is none."""
        if name in self.base:
            return Column(name, self.base[name], nullable=name not in BASE)
        return self.columns.get(name)

    def target_of(self, reference: Reference) -> Table | None:
        """Return the table that one of this table's references points to; None if only its name is known."""
        return self if reference.name == self.name else reference.table
