"""The oracles: what a key could tell of rows that nobody here may see, and ON CONFLICT onto one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from tests.security.isolation_catalogue import Key, Relation, foreign_keys, granted, relations, unique_keys
from tests.security.isolation_matrix import ROLES, SETTINGS, Bench, Role, fresh, listed, sample
from tests.security.isolation_tables import MINE, THEIRS
from tests.support.postgres import Database

WRITERS = [role for role in ROLES if role.name in {"app", "owner"}]
SETTING = SETTINGS[0]
POSITION = ("storekit.domain_event", "pos")
"""A number of the whole database, and of its partitions: nobody but the sequencer gives it."""


@dataclass
class Oracles:
    """Every key of a database, asked by the app and by the owner in the name of one tenant about another."""

    database: Database
    asked: int = 0
    told: list[str] = field(default_factory=list)
    """What was given away."""

    def run(self) -> list[str]:
        """Ask all of them."""
        with self.database.connect("postgres") as catalogue, self.database.connect("postgres") as used:
            self._catalogue, self._bench = catalogue, Bench(used)
            self._relations = {each.name: each for each in relations(catalogue)}
            for key in foreign_keys(catalogue):
                if self._theirs(key.relation) and self._theirs(key.target):
                    self._ask_foreign(key)
            for key in unique_keys(catalogue):
                if self._theirs(key.relation):
                    self._ask_unique(key)
                    self._ask_conflict(key)
        return self.told

    def _theirs(self, name: str) -> dict[str, Any]:
        """Find a row of theirs in a table that holds rows of tenants."""
        relation = self._relations[name]
        row = sample(self._catalogue, relation) if relation.tenanted else {}
        return row if row.get("tenant_id") == str(THEIRS) else {}

    def _ask_foreign(self, key: Key) -> None:
        """A child of mine that names a parent of theirs fails as one that names nothing."""
        relation, parent = self._relations[key.relation], self._theirs(key.target)
        pairs = [pair for pair in zip(key.columns, key.target_columns, strict=True) if pair[0] != "tenant_id"]
        known = {own: parent[other] for own, other in pairs if own != "parts_live"}
        unknown = {own: str(uuid4()) for own in known}
        for role in WRITERS:
            row = fresh(relation, sample(self._catalogue, relation, MINE))
            answers = [self._insert(role, relation, {**row, **named}, named) for named in (known, unknown)]
            if answers[0] != answers[1]:
                self.told.append(f"foreign key {key.name} of {key.relation} tells {role.name}: {answers}")

    def _ask_unique(self, key: Key) -> None:
        """A row of mine may have in its key what a row of theirs has."""
        relation, row = self._relations[key.relation], self._theirs(key.relation)
        table, position = POSITION
        if key.columns == ("tenant_id",) or (key.relation.startswith(table) and position in key.columns):
            return
        taken = {name: row[name] for name in key.columns if name in row}
        mine = {**fresh(relation, row), **taken, "tenant_id": str(MINE)}
        for role in WRITERS:
            answer = self._insert(role, relation, mine, {}, bare=True)
            if answer.startswith("23505"):
                self.told.append(f"unique key {key.name} of {key.relation} tells {role.name}: {answer}")

    def _ask_conflict(self, key: Key) -> None:
        """An upsert in the place of a row of theirs changes nothing of theirs."""
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
                self.asked += 1
                if self._bench.outcome(role, SETTING, text, bare) == "foreign rows":
                    self.told.append(f"{role.name} changes a row of theirs by ON CONFLICT on {key.name}")

    def _insert(
        self,
        role: Role,
        relation: Relation,
        row: Mapping[str, Any],
        masked: Mapping[str, Any],
        bare: bool = False,
    ) -> str:
        """Insert what the role may insert of a row, and tell what was answered, but for masked values."""
        self.asked += 1
        columns = granted(self._catalogue, role.acting, relation, "INSERT") or relation.names
        text = self._mogrified(
            f"INSERT INTO {relation.name} ({listed(columns)}) SELECT {listed(columns)}"
            f" FROM jsonb_populate_record(NULL::{relation.name}, %s)",
            [Jsonb(row)],
        )
        try:
            self._bench.act(role, SETTING, text, bare)
        except psycopg.Error as error:
            answer = f"{error.sqlstate} {error.diag.message_primary} {error.diag.message_detail}"
        else:
            answer = "taken"
        for value in masked.values():
            answer = answer.replace(str(value), "...")
        self._bench.undo()
        return answer

    def _mogrified(self, text: str, values: list[Any]) -> str:
        return psycopg.ClientCursor(self._catalogue).mogrify(text, values)
