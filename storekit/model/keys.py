"""The keys and indexes of a table, as SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from storekit.model.fields import ReferenceMark
from storekit.model.indexes import Index, not_null
from storekit.model.names import literal, qualified, quoted
from storekit.model.rules import scope_of
from storekit.model.table import Table

_MAX_NAME = 63
_OURS = re.compile(r"_(ix|uq)_[0-9a-f]{8}\Z")


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key, a unique key or an index."""

    kind: Literal["PRIMARY KEY", "UNIQUE", "INDEX", "UNIQUE INDEX"]
    body: str
    """Its columns, and which rows it holds."""
    name: str
    named: bool = True
    """Whether its table's first migration names it, or leaves that to Postgres."""

    @property
    def inline(self) -> bool:
        """Whether it stands in CREATE TABLE."""
        return not self.kind.endswith("INDEX")

    @property
    def line(self) -> str:
        """Define it inside a table."""
        return f"{f'CONSTRAINT {self.name} ' if self.named else ''}{self.kind} {self.body}"

    def create(self, on: str) -> str:
        """Make it as an index of a table that nobody uses yet."""
        return f"CREATE {self.kind} {f'{self.name} ' if self.named else ''}ON {on} {self.body};"

    def build(self, on: str, name: str, how: str = "") -> str:
        """Make it as an index, whatever it is."""
        unique = "" if self.kind == "INDEX" else "UNIQUE "
        return f"CREATE {unique}INDEX {how}{name} ON {on} {self.body};"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to the rows of another table."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str
    nulled: tuple[str, ...] = ()
    """What ON DELETE SET NULL sets; never the tenant."""

    @property
    def line(self) -> str:
        """Define it, without a name."""
        action = f"{self.on_delete} ({_list(self.nulled)})" if self.nulled else self.on_delete
        return (
            f"FOREIGN KEY ({_list(self.columns)}) REFERENCES {qualified(self.target)} "
            f"({_list(self.target_columns)}) ON DELETE {action}"
        )


def keys(table: Table) -> Iterator[Key]:
    """List the keys and indexes that a table has."""
    own = table.name.rpartition(".")[2]
    yield Key("PRIMARY KEY", "(tenant_id, id)", f"{own}_pkey", named=False)
    yield Key("UNIQUE", "(tenant_id, ref_id)", f"{own}_ref_id_key", named=False)
    if table.scope == "global":
        yield Key("UNIQUE", "(id)", f"{own}_id_key", named=False)
    if table.natural_key:
        yield Key("UNIQUE", f"({_list(('tenant_id', *table.natural_key))})", natural_key_name(table))
    # column first: on a small table all tenant-first indexes cost the same, and a prepared look-up by
    # ref_id that took this one instead would keep it for ever
    for column in table.columns.values():
        if column.reference is not None:
            body = f"({quoted(column.name)}, tenant_id, ref_id)"
            yield _index(table, Index((column.name,)), body, named=False)
    if table.lookup is not None:
        yield _index(table, Index((table.lookup,)), f"({quoted(table.lookup)})", named=False)
    for each in table.indexes:
        yield _declared(table, each)


def unique_keys(table: Table) -> Iterator[tuple[str, tuple[str, ...], Mapping[str, Any]]]:
    """List the unique keys that the class declares: name, fields, and which records each holds."""
    if table.natural_key:
        yield natural_key_name(table), table.natural_key, {}
    for each in table.indexes:
        if each.unique:
            fields = tuple(column.removeprefix("-") for column in each.columns)
            yield _declared(table, each).name, fields, each.where


def condition(each: Index) -> str:
    """Write which records a partial index holds; empty if it holds all."""
    return " AND ".join(_condition(name, value) for name, value in each.where.items())


def _declared(table: Table, each: Index) -> Key:
    columns = ", ".join(["tenant_id", *map(_ordered, each.order)])
    where = f" WHERE {condition(each)}" if each.where else ""
    return _index(table, each, f"({columns}){where}")


def natural_key_name(table: Table) -> str:
    """Name the natural key; a table has one at most."""
    return f"{table.name.rpartition('.')[2]}_natural_key"


def is_ours(index: str, table: Table) -> bool:
    """Tell by its name whether an index was declared once."""
    return index == natural_key_name(table) or _OURS.search(index) is not None


def foreign_keys(table: Table) -> Iterator[ForeignKey]:
    """List the references of a table; a global row belongs to no tenant, so its id alone is the key."""
    for column in table.columns.values():
        if column.reference is None:
            continue
        target = _target(column.reference, table)
        nulled = (column.name,) if column.reference.on_delete == "set null" else ()
        action = column.reference.on_delete.upper()
        if scope_of(column.reference, table) == "global" and table.scope != "global":
            yield ForeignKey((column.name,), target, ("id",), action, nulled)
        else:
            yield ForeignKey(("tenant_id", column.name), target, ("tenant_id", "id"), action, nulled)


def foreign_key_name(table: Table, key: ForeignKey) -> str:
    """Name a reference by its table and columns, so that an error of Postgres leads back to the field.

    Postgres's own name would be cut at 63 bytes. The action is not part of the name: it may change.
    """
    digest = sha256(f"{table.name} {_list(key.columns)}".encode()).hexdigest()
    end = f"_fk_{digest[:8]}"
    return f"{table.name.rpartition('.')[2]}_{key.columns[-1]}"[: _MAX_NAME - len(end)] + end


def constraint(table: Table, key: ForeignKey) -> str:
    """Define a reference with its name."""
    return f"CONSTRAINT {foreign_key_name(table, key)} {key.line}"


def _target(reference: ReferenceMark, table: Table) -> str:
    if isinstance(reference.target, str):
        return table.name if reference.target == "self" else reference.target
    return reference.target.storekit_table.name


def _index(table: Table, declared: Index, body: str, *, named: bool = True) -> Key:
    """Name an index by what it is: another definition has another name."""
    digest = sha256(f"{table.name} {declared.unique}{body}".encode()).hexdigest()
    end = f"_{'uq' if declared.unique else 'ix'}_{digest[:8]}"
    stem = [table.name.rpartition(".")[2], *(column.removeprefix("-") for column in declared.columns)]
    name = "_".join(stem)[: _MAX_NAME - len(end)] + end
    return Key("UNIQUE INDEX" if declared.unique else "INDEX", body, name, named)


def _ordered(column: str) -> str:
    return f"{quoted(column[1:])} DESC" if column.startswith("-") else quoted(column)


def _condition(name: str, value: Any) -> str:
    if value is None or value is not_null:
        return f"{quoted(name)} IS {'NOT ' if value is not_null else ''}NULL"
    if isinstance(value, tuple):
        return f"{quoted(name)} IN ({', '.join(map(_constant, value))})"
    return f"{quoted(name)} = {_constant(value)}"


def _constant(value: Any) -> str:
    """Write an encoded value; Postgres reads what is quoted as its column's type."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else literal(str(value))


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))
