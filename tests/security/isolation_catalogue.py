"""Read what tenant isolation depends on: relations, columns, grants, keys and functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_RELATIONS = f"""
SELECT n.nspname || '.' || c.relname, c.relkind,
       array_agg(a.attname::text ORDER BY a.attnum),
       array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum),
       array_agg(EXISTS (
           SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey)
       ) ORDER BY a.attnum)
FROM pg_class AS c
     JOIN pg_namespace AS n ON n.oid = c.relnamespace
     JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                           AND a.attgenerated = '' AND a.attidentity <> 'a'
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}
GROUP BY c.oid, 1 ORDER BY 1
"""
_UNIQUE = f"""
SELECT i.indexrelid::regclass::text, n.nspname || '.' || c.relname,
       (SELECT array_agg(coalesce(a.attname, '') ORDER BY k.place)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number),
       pg_get_expr(i.indpred, i.indrelid)
FROM pg_index AS i
     JOIN pg_class AS c ON c.oid = i.indrelid
     JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indisunique AND {_OURS} ORDER BY 1
"""
_FOREIGN = f"""
SELECT k.conname, n.nspname || '.' || r.relname,
       (SELECT array_agg(a.attname ORDER BY c.place)
        FROM unnest(k.conkey) WITH ORDINALITY AS c (number, place)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = c.number),
       tn.nspname || '.' || t.relname,
       (SELECT array_agg(a.attname ORDER BY c.place)
        FROM unnest(k.confkey) WITH ORDINALITY AS c (number, place)
             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = c.number)
FROM pg_constraint AS k
     JOIN pg_class AS r ON r.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = r.relnamespace
     JOIN pg_class AS t ON t.oid = k.confrelid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE k.contype = 'f' AND {_OURS} ORDER BY 2, 1
"""
_DEFINERS = f"""
SELECT n.nspname || '.' || p.proname, array_agg(role ORDER BY role)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace, unnest(%s::text[]) AS role
WHERE p.prosecdef AND p.prorettype <> 'trigger'::regtype AND {_OURS}
  AND has_function_privilege(role, p.oid, 'EXECUTE')
GROUP BY p.oid, 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Column:
    """A column that a statement may name."""

    name: str
    type: str
    unique: bool
    """Whether it is part of a key, so that a second row needs another value."""


@dataclass(frozen=True)
class Relation:
    """A table, partition, view or materialised view."""

    name: str
    kind: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def definition(self) -> str:
        """Return the definitions of its columns for another table."""
        own = ((column.name, "text" if "." in column.type else column.type) for column in self.columns)
        return ", ".join(f'"{name}" {kind}' for name, kind in own)

    @property
    def tenanted(self) -> bool:
        return "tenant_id" in self.names

    @property
    def holds_rows(self) -> bool:
        """Whether it stores rows of tenants itself, and is not a partitioned table or a view."""
        return self.kind == "r" and self.tenanted


@dataclass(frozen=True)
class Key:
    """A unique index or a foreign key."""

    name: str
    relation: str
    columns: tuple[str, ...]
    target: str = ""
    target_columns: tuple[str, ...] = ()
    predicate: str | None = None


def relations(connection: psycopg.Connection[Any]) -> list[Relation]:
    """Return every relation of storekit's schemas and of the schemas of the entities."""
    return [
        Relation(name, kind, tuple(Column(*each) for each in zip(*columns, strict=True)))
        for name, kind, *columns in connection.execute(_RELATIONS.encode()).fetchall()
    ]


def granted(connection: psycopg.Connection[Any], role: str, relation: Relation, verb: str) -> list[str]:
    """Return the columns that a role may use in a statement of this kind."""
    may = "has_table_privilege(%(role)s, %(name)s, %(verb)s)"
    if verb in {"SELECT", "INSERT", "UPDATE"}:
        may = "has_column_privilege(%(role)s, %(name)s, c, %(verb)s)"
    rows = connection.execute(
        f"SELECT c FROM unnest(%(columns)s::text[]) AS c WHERE {may}".encode(),
        {"columns": relation.names, "role": role, "name": relation.name, "verb": verb},
    ).fetchall()
    return [name for (name,) in rows]


def unique_keys(connection: psycopg.Connection[Any]) -> list[Key]:
    """Return the unique indexes."""
    return [
        Key(name, relation, tuple(columns), predicate=predicate)
        for name, relation, columns, predicate in connection.execute(_UNIQUE.encode()).fetchall()
    ]


def foreign_keys(connection: psycopg.Connection[Any]) -> list[Key]:
    """Return the foreign keys."""
    return [
        Key(name, relation, tuple(columns), target, tuple(target_columns))
        for name, relation, columns, target, target_columns in connection.execute(
            _FOREIGN.encode()
        ).fetchall()
    ]


def callable_definers(connection: psycopg.Connection[Any], roles: Sequence[str]) -> dict[str, list[str]]:
    """Return the SECURITY DEFINER functions that a role may execute, with those roles."""
    return dict(connection.execute(_DEFINERS.encode(), [list(roles)]).fetchall())
