"""A class and its table, which are compared, and constructors for their differences."""

from __future__ import annotations

from dataclasses import dataclass

from storekit.model.declare.entity import Entity
from storekit.model.table.keys import KeyDefinition
from storekit.model.table.names import literal, qualified, quoted
from storekit.model.table.table import Table
from storekit.schema import ddl
from storekit.schema.diff.difference import Difference, Place
from storekit.schema.diff.facts import Declared, Facts


@dataclass(frozen=True, slots=True)
class Pair:
    """A class, what Postgres would create for it, and what the database contains."""

    entity: type[Entity]
    declared: Declared
    actual: Facts

    @property
    def table(self) -> Table:
        """Table that the class declares."""
        return self.entity.storekit_table

    @property
    def name(self) -> str:
        """Name of the table, with its schema."""
        return qualified(self.table.name)

    def add(self, what: str, sql: str = "", place: Place = "main") -> Difference:
        """Return a difference that SQL resolves without losing data."""
        return Difference(self.name, what, sql, "addition", place, self._manage)

    def index(self, what: str, key: KeyDefinition) -> Difference:
        """Return the difference of a missing index."""
        # a plain CREATE INDEX blocks writers until it has finished. CONCURRENTLY does not, but it cannot run
        # in a transaction. With IF NOT EXISTS the file can run again if the process died before it was
        # recorded.
        alone = key.build(self.name, key.name, "CONCURRENTLY IF NOT EXISTS ")
        return self._concurrently(what, "creation", key.build(self.name, key.name), alone, key.name)

    def drop_index(self, what: str, name: str) -> Difference:
        """Return the difference of an index that serves no purpose any more."""
        on = self.beside(name)
        sql, alone = f"DROP INDEX IF EXISTS {on};", f"DROP INDEX CONCURRENTLY IF EXISTS {on};"
        return self._concurrently(what, "deletion", sql, alone, f"drop_{name}")

    def beside(self, name: str) -> str:
        """Return the name of an object in the table's schema."""
        return f"{self.name.partition('.')[0]}.{quoted(name)}"

    def decide(self, what: str, sql: str) -> Difference:
        """Return a difference that a person must decide."""
        return Difference(self.name, what, sql, "decision", manage=self._manage)

    def remark(self, what: str, sql: str) -> Difference:
        """Return a difference that may stay."""
        return Difference(self.name, what, sql, "remark", manage=self._manage)

    def drop(self, column: str) -> str:
        """Return the SQL that drops a column."""
        return f"{self.free(column)}ALTER TABLE {self.name} DROP COLUMN {quoted(column)};"

    def free(self, column: str) -> str:
        """Return the SQL that drops what depends on a column; the next call of `manage` creates it again."""
        states = {field for field, _, _ in self.actual.moves}
        gone = [f"TRIGGER IF EXISTS storekit_{name}" for name in ("move", "begin") if column in states]
        gone += ["POLICY IF EXISTS lookup"] if column in self.actual.lookups else []
        return "".join(f"DROP {each} ON {self.name};\n" for each in gone)

    def _concurrently(self, what: str, kind: str, sql: str, alone: str, name: str) -> Difference:
        reason = "-- written for a database that has no other users yet"
        text = f"{reason}\n-- squawk-ignore require-concurrent-index-{kind}\n{sql}"
        return Difference(self.name, what, text, manage=self._manage, concurrently=alone, name=name)

    @property
    def _manage(self) -> str:
        # without the scope, so that this call does not change it: a changed scope is a separate decision
        if self.actual.scope is None:
            return ddl.call_manage(self.table)
        return f"SELECT storekit.manage({literal(self.name)});"
