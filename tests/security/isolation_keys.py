"""Check that keys reveal nothing about invisible rows, and that ON CONFLICT cannot reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from tests.security.isolation_catalogue import Key, Relation, foreign_keys, granted, relations, unique_keys
from tests.security.isolation_matrix import ROLES, SETTINGS, Executor, Role, fresh, listed, sample
from tests.security.isolation_tables import MINE, THEIRS
from tests.support.postgres import Database

WRITERS = [role for role in ROLES if role.name in {"app", "owner"}]
SETTING = SETTINGS[0]
POSITION = ("storekit.domain_event", "pos")
"""Numbers that the sequencer alone assigns, for the whole database and its partitions."""


@dataclass
class Oracles:
    """Every key of a database, tried by app and owner as one tenant against the rows of another."""

    database: Database
    tried: int = 0
    findings: list[str] = field(default_factory=list)
    """What was given away."""

    def run(self) -> list[str]:
        """Try every key."""
        with self.database.connect("postgres") as catalogue, self.database.connect("postgres") as used:
            self._catalogue, self._executor = catalogue, Executor(used)
            self._relations = {each.name: each for each in relations(catalogue)}
            for key in foreign_keys(catalogue):
                if self._theirs(key.relation) and self._theirs(key.target):
                    self._ask_foreign(key)
            for key in unique_keys(catalogue):
                if self._theirs(key.relation):
                    self._ask_unique(key)
                    self._ask_conflict(key)
        return self.findings

    def _theirs(self, name: str) -> dict[str, Any]:
        """Return a row of the other tenant from a table that stores rows of tenants."""
        relation = self._relations[name]
        row = sample(self._catalogue, relation) if relation.tenanted else {}
        return row if row.get("tenant_id") == str(THEIRS) else {}

    def _ask_foreign(self, key: Key) -> None:
        """Check that a reference to another tenant's row fails like a reference to a missing row."""
        relation, parent = self._relations[key.relation], self._theirs(key.target)
        pairs = [pair for pair in zip(key.columns, key.target_columns, strict=True) if pair[0] != "tenant_id"]
        known = {own: parent[other] for own, other in pairs if own != "parts_live"}
        unknown = {own: str(uuid4()) for own in known}
        for role in WRITERS:
            row = fresh(relation, sample(self._catalogue, relation, MINE))
            results = [self._insert(role, relation, {**row, **named}, named) for named in (known, unknown)]
            if results[0] != results[1]:
                self.findings.append(
                    f"foreign key {key.name} of {key.relation} leaks to {role.name}: {results}"
                )

    def _ask_unique(self, key: Key) -> None:
        """Check that a row may have the same unique values as a row of another tenant."""
        relation, row = self._relations[key.relation], self._theirs(key.relation)
        table, position = POSITION
        if key.columns == ("tenant_id",) or (key.relation.startswith(table) and position in key.columns):
            return
        taken = {name: row[name] for name in key.columns if name in row}
        mine = {**fresh(relation, row), **taken, "tenant_id": str(MINE)}
        for role in WRITERS:
            result = self._insert(role, relation, mine, {}, bare=True)
            if result.startswith("23505"):
                self.findings.append(
                    f"unique key {key.name} of {key.relation} leaks to {role.name}: {result}"
                )

    def _ask_conflict(self, key: Key) -> None:
        """Check that an upsert on the key of another tenant's row does not change that row."""
        relation, row = self._relations[key.relation], Jsonb(self._theirs(key.relation))
        where = f" WHERE {key.predicate}" if key.predicate else ""
        for role in WRITERS:
            columns = granted(self._catalogue, role.acting, relation, "INSERT") or relation.names
            changed = granted(self._catalogue, role.acting, relation, "UPDATE") or relation.names
            target = next(iter([c for c in changed if c not in key.columns]), changed[0])
            text = self._mogrified(
                f"INSERT INTO {relation.name} ({listed(columns)}) SELECT {listed(columns)}"
                f" FROM jsonb_populate_record(NULL::{relation.name}, %s)"
                f' ON CONFLICT ({listed(key.columns)}){where} DO UPDATE SET "{target}" = excluded."{target}"',
                [row],
            )
            for bare in (False, True):
                self.tried += 1
                if self._executor.outcome(role, SETTING, text, bare) == "foreign rows":
                    self.findings.append(
                        f"{role.name} changes a row of another tenant by ON CONFLICT on {key.name}"
                    )

    def _insert(
        self,
        role: Role,
        relation: Relation,
        row: Mapping[str, Any],
        masked: Mapping[str, Any],
        bare: bool = False,
    ) -> str:
        """Insert the columns of a row that the role may insert, and return the result with values masked."""
        self.tried += 1
        columns = granted(self._catalogue, role.acting, relation, "INSERT") or relation.names
        text = self._mogrified(
            f"INSERT INTO {relation.name} ({listed(columns)}) SELECT {listed(columns)}"
            f" FROM jsonb_populate_record(NULL::{relation.name}, %s)",
            [Jsonb(row)],
        )
        try:
            self._executor.act(role, SETTING, text, bare)
        except psycopg.Error as error:
            result = f"{error.sqlstate} {error.diag.message_primary} {error.diag.message_detail}"
        else:
            result = "taken"
        for value in masked.values():
            result = result.replace(str(value), "...")
        self._executor.undo()
        return result

    def _mogrified(self, text: str, values: list[Any]) -> str:
        return psycopg.ClientCursor(self._catalogue).mogrify(text, values)
