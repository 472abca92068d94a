"""The keys and indexes of a table, as SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from storekit.model.table.indexes import Index, not_null
from storekit.model.table.names import literal, qualified, quoted
from storekit.model.table.table import Table

_MAX_NAME = 63
"""Postgres truncates longer names silently, so that two indexes could get the same name."""
_STOREKIT_INDEX = re.compile(r"_(ix|uq)_[0-9a-f]{8}\Z")


@dataclass(frozen=True, slots=True)
class KeyDefinition:
    """The SQL definition of a primary key, a unique key or an index."""

    kind: Literal["PRIMARY KEY", "UNIQUE", "INDEX", "UNIQUE INDEX"]
    body: str
    """Columns in parentheses, and the WHERE of a partial index."""
    name: str
    named: bool = True
    """Whether the table's first migration contains the name; if not, Postgres chooses one."""

    @property
    def inline(self) -> bool:
        """Whether it is part of CREATE TABLE."""
        return not self.kind.endswith("INDEX")

    @property
    def clause(self) -> str:
        """Definition inside CREATE TABLE."""
        return f"{f'CONSTRAINT {self.name} ' if self.named else ''}{self.kind} {self.body}"

    def create(self, on: str) -> str:
        """Return CREATE INDEX for a new table, which no session uses yet."""
        return f"CREATE {self.kind} {f'{self.name} ' if self.named else ''}ON {on} {self.body};"

    def build(self, on: str, name: str, options: str = "") -> str:
        """Return CREATE INDEX for an existing table; a key becomes a unique index.

        Args:
            options: words between INDEX and the name, such as "CONCURRENTLY IF NOT EXISTS ".
        """
        unique = "" if self.kind == "INDEX" else "UNIQUE "
        return f"CREATE {unique}INDEX {options}{name} ON {on} {self.body};"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """The SQL definition of a reference to the rows of another table."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str
    nulled: tuple[str, ...] = ()
    """Columns that ON DELETE SET NULL sets to NULL; never tenant_id, which is not nullable."""

    @property
    def clause(self) -> str:
        """Definition inside CREATE TABLE."""
        action = f"{self.on_delete} ({_list(self.nulled)})" if self.nulled else self.on_delete
        return (
            f"FOREIGN KEY ({_list(self.columns)}) REFERENCES {qualified(self.target)} "
            f"({_list(self.target_columns)}) ON DELETE {action}"
        )


def key_definitions(table: Table) -> Iterator[KeyDefinition]:
    """Yield the keys and indexes of a table; those that every table has come first."""
    own = table.name.rpartition(".")[2]
    yield KeyDefinition("PRIMARY KEY", "(tenant_id, id)", f"{own}_pkey", named=False)
    yield KeyDefinition("UNIQUE", "(tenant_id, ref_id)", f"{own}_ref_id_key", named=False)
    if table.scope == "global":
        yield KeyDefinition("UNIQUE", "(id)", f"{own}_id_key", named=False)
    if table.natural_key:
        yield KeyDefinition(
            "UNIQUE", f"({_list(('tenant_id', *table.natural_key))})", natural_key_name(table)
        )
    # The reference comes before the tenant. On a small table all indexes that begin with tenant_id have the
    # same cost. A prepared look-up by ref_id might choose this one, keep that generic plan as long as the
    # connection lives, and scan all rows of the tenant once the table has grown.
    for column in table.columns.values():
        if column.reference is not None:
            body = f"({quoted(column.name)}, tenant_id, ref_id)"
            yield _index(table, Index((column.name,)), body, named=False)
    if table.lookup is not None:
        yield _index(table, Index((table.lookup,)), f"({quoted(table.lookup)})", named=False)
    for each in table.indexes:
        yield _declared(table, each)


def unique_keys(table: Table) -> Iterator[tuple[str, tuple[str, ...], Mapping[str, Any]]]:
    """Yield the unique keys that the class declares: name, fields, and the `where` of a partial one."""
    if table.natural_key:
        yield natural_key_name(table), table.natural_key, {}
    for each in table.indexes:
        if each.unique:
            fields = tuple(column.removeprefix("-") for column in each.columns)
            yield _declared(table, each).name, fields, each.where


def condition(each: Index) -> str:
    """Return the WHERE of a partial index; empty if the index contains all records."""
    return " AND ".join(_condition(name, value) for name, value in each.where.items())


def _declared(table: Table, each: Index) -> KeyDefinition:
    columns = ", ".join(["tenant_id", *map(_ordered, each.order)])
    where = f" WHERE {condition(each)}" if each.where else ""
    return _index(table, each, f"({columns}){where}")


def natural_key_name(table: Table) -> str:
    """Return the constraint's name; a table has at most one natural key."""
    return f"{table.name.rpartition('.')[2]}_natural_key"


def is_storekit_index(index: str, table: Table) -> bool:
    """Return whether storekit chose the name, so that the class declares the index or declared it earlier."""
    return index == natural_key_name(table) or _STOREKIT_INDEX.search(index) is not None


def foreign_keys(table: Table) -> Iterator[ForeignKey]:
    """Yield the references of a table.

    The key contains the tenant, so that a row can refer only to rows of its own tenant. A global row belongs
    to no tenant: a tenant's row refers to it by id alone.
    """
    for column in table.columns.values():
        if column.reference is None:
            continue
        target, action = column.reference.name, column.reference.on_delete.upper()
        nulled = (column.name,) if column.reference.on_delete == "set null" else ()
        if column.reference.scope == "global" and table.scope != "global":
            yield ForeignKey((column.name,), target, ("id",), action, nulled)
        else:
            yield ForeignKey(("tenant_id", column.name), target, ("tenant_id", "id"), action, nulled)


def foreign_key_name(table: Table, key: ForeignKey) -> str:
    """Name a foreign key by a digest of its table and columns, so that an error leads to the field.

    Postgres truncates the names that it chooses at 63 bytes. `on_delete` is not part of the name, as it may
    change.
    """
    digest = sha256(f"{table.name} {_list(key.columns)}".encode()).hexdigest()
    end = f"_fk_{digest[:8]}"
    return f"{table.name.rpartition('.')[2]}_{key.columns[-1]}"[: _MAX_NAME - len(end)] + end


def constraint(table: Table, key: ForeignKey) -> str:
    """Return the definition of a foreign key with its name.

    It is deferrable, so that a commit can insert rows that refer to each other in a circle of tables. Each
    statement still checks it, unless its transaction defers it.
    """
    return f"CONSTRAINT {foreign_key_name(table, key)} {key.clause} DEFERRABLE"


def _index(table: Table, declared: Index, body: str, *, named: bool = True) -> KeyDefinition:
    """Name an index by a digest of its definition.

    A changed definition gets another name, so the new index can be built while the old one is in use, and the
    names alone show which definitions the database has.
    """
    digest = sha256(f"{table.name} {declared.unique}{body}".encode()).hexdigest()
    end = f"_{'uq' if declared.unique else 'ix'}_{digest[:8]}"
    stem = [table.name.rpartition(".")[2], *(column.removeprefix("-") for column in declared.columns)]
    name = "_".join(stem)[: _MAX_NAME - len(end)] + end
    return KeyDefinition("UNIQUE INDEX" if declared.unique else "INDEX", body, name, named)


def _ordered(column: str) -> str:
    return f"{quoted(column[1:])} DESC" if column.startswith("-") else quoted(column)


def _condition(name: str, value: Any) -> str:
    if value is None or value is not_null:
        return f"{quoted(name)} IS {'NOT ' if value is not_null else ''}NULL"
    if isinstance(value, tuple):
        return f"{quoted(name)} IN ({', '.join(map(_constant, value))})"
    return f"{quoted(name)} = {_constant(value)}"


def _constant(value: Any) -> str:
    """Return an encoded value as a literal; Postgres reads a quoted one as the column's type."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else literal(str(value))


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))
