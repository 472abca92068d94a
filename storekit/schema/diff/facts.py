"""Facts about a table, in one form for what a class declares and for what the database contains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from storekit.model.table.keys import ForeignKey, KeyDefinition, foreign_keys
from storekit.model.table.table import Part, Table
from storekit.schema.ddl import move_pairs

Move = tuple[str, str, str]
"""Field, from and to; from '' means that a new record may have the state `to`."""


@dataclass(frozen=True, slots=True)
class ColumnFact:
    """A column, as Postgres prints its type and its default."""

    type: str
    nullable: bool
    default: str | None = None
    generated: bool = False
    enum: str | None = None
    """Name of the enum type, with its schema; None for other types."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartFact:
    """A part, as `storekit.field` registers it."""

    kind: str
    ttl: timedelta | None = None
    links: tuple[str, ...] = ()
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts about one table."""

    columns: Mapping[str, ColumnFact] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Definitions by name, including the indexes of keys."""
    checks: Mapping[str, str] = field(default_factory=dict)
    foreign_keys: Mapping[str, ForeignKey] = field(default_factory=dict)
    """References between entities by name; the foreign keys of parts are among the guards."""
    parts: Mapping[str, PartFact] = field(default_factory=dict)
    lookups: frozenset[str] = frozenset()
    moves: frozenset[Move] = frozenset()
    scope: str | None = None
    """None if `manage` was never called for the table."""
    guards: Mapping[str, str] = field(default_factory=dict)
    """Objects that `manage` creates for a table: row-level security, policies, triggers, checks of values,
    and keys of parts."""
    writable: frozenset[str] = frozenset()
    """Columns that the application's role may write with SQL of its own."""
    empty: bool = True
    """Whether the file of the table has no pages. A count would see only the rows that the policies allow."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The table of a class as Postgres would create it."""

    facts: Facts
    keys: Mapping[KeyDefinition, str]
    """Definition of the index of each key, as Postgres prints it."""


def declared_facts(table: Table, seen: Facts) -> Facts:
    """Add references and parts to the facts of a scratch table.

    The scratch table has no foreign keys, because they would lock the tables that they point to.
    """
    keys = dict.fromkeys((f"key {part}_ref_live" for part in table.parts), "foreign key")
    # without its part, the scratch table has the time of an expiry as a column of the class
    expiries = {f"check {part}_expired_on_storable" for part in table.parts}
    guards = {name: text for name, text in seen.guards.items() if name not in expiries}
    return Facts(
        columns=seen.columns,
        checks=seen.checks,
        foreign_keys={key.clause: key for key in foreign_keys(table)},
        parts={part.name: _part(part) for part in table.parts.values()},
        lookups=frozenset({table.lookup} if table.lookup else ()),
        moves=_moves(table),
        scope=table.scope,
        guards={**guards, **keys},
        writable=frozenset(table.columns) if table.scope != "global" else frozenset(),
    )


def _part(part: Part) -> PartFact:
    return PartFact(part.kind, part.ttl, part.links, part.collection)


def _moves(table: Table) -> frozenset[Move]:
    machine = table.machine
    return frozenset((machine.field, *pair) for pair in move_pairs(machine)) if machine else frozenset()
