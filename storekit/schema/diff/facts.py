"""What is known of a table: as a class declares it, and as the database has it, in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from storekit.model.table.keys import ForeignKey, Key, foreign_keys
from storekit.model.table.table import Part, Table
from storekit.schema.ddl import pairs

Move = tuple[str, str, str]
"""Field, from and to; from '' means that a record may begin there."""


@dataclass(frozen=True, slots=True)
class ColumnFact:
    """A column, in Postgres's own words."""

    type: str
    nullable: bool
    default: str | None = None
    generated: bool = False
    enum: str | None = None
    """The type's name with its schema, if it is an enum."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartFact:
    """What the database knows of a part."""

    kind: str
    ttl: timedelta | None = None
    links: tuple[str, ...] = ()
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """A table."""

    columns: Mapping[str, ColumnFact] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Definition by name; those of keys too."""
    checks: Mapping[str, str] = field(default_factory=dict)
    foreign_keys: Mapping[str, ForeignKey] = field(default_factory=dict)
    """Those between entities; a ref's key is one of the guards."""
    parts: Mapping[str, PartFact] = field(default_factory=dict)
    lookups: frozenset[str] = frozenset()
    moves: frozenset[Move] = frozenset()
    scope: str | None = None
    """None: it is not managed."""
    guards: Mapping[str, str] = field(default_factory=dict)
    """What `manage` puts around a table: row security, policies, triggers, keys of refs."""
    writable: frozenset[str] = frozenset()
    """The columns that hand-written SQL of the app may fill."""
    empty: bool = True
    """Whether it never had a row."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A class's table, as Postgres would have it."""

    facts: Facts
    keys: Mapping[Key, str]
    """The definition of each key's index."""


def declared_facts(table: Table, seen: Facts) -> Facts:
    """Complete what Postgres made of a class's table by what it was not shown: what points elsewhere."""
    keys = dict.fromkeys((f"key {part}_ref_live" for part in table.parts), "foreign key")
    return Facts(
        columns=seen.columns,
        checks=seen.checks,
        foreign_keys={key.line: key for key in foreign_keys(table)},
        parts={part.name: _part(part) for part in table.parts.values()},
        lookups=frozenset({table.lookup} if table.lookup else ()),
        moves=_moves(table),
        scope=table.scope,
        guards={**seen.guards, **keys},
        writable=frozenset(table.columns) if table.scope != "global" else frozenset(),
    )


def _part(part: Part) -> PartFact:
    return PartFact(part.kind, part.ttl, part.links, part.collection)


def _moves(table: Table) -> frozenset[Move]:
    machine = table.machine
    return frozenset((machine.field, *pair) for pair in pairs(machine)) if machine else frozenset()
