"""The tenant matrix: every relation, statement, role and setting, generated from the catalogue.


Each cell runs its statements in a transaction that is rolled back. The connection of a superuser becomes the
login by SET SESSION AUTHORIZATION, and afterwards reads without policies which rows have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from storekit.ids import new_ref_id
from tests.security.isolation_catalogue import Relation, granted, relations
from tests.security.isolation_tables import MINE, NIL, THEIRS
from tests.support.postgres import Database

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
REFUSED = {
    "42501": "no grant, or its policy refused the row",
    "22P02": "the setting is not a UUID",
    "23502": "a row of no tenant",
    "SK001": "its key never changes",
    "SK002": "a part does not make that move",
    "SK004": "the transaction is another tenant's",
    "SK405": "append-only",
    "55000": "a view that takes no rows",
    "42809": "a view that takes no rows",
    "23001": "a key, where triggers and keys are on",
    "23503": "a key, where triggers and keys are on",
    "23505": "a key, where triggers and keys are on",
    "23514": "a rule, where triggers and keys are on",
}
"""Expected errors of statements; any other error is a bug of the matrix."""


@dataclass(frozen=True)
class Role:
    """The role that acts: a login, or a role that the admin's login switches to."""

    name: str
    login: str
    group: str = ""

    @property
    def acting(self) -> str:
        return self.group or self.login


ROLES = (
    *(Role(login, login) for login in ("app", "worker", "auditor", "reporter", "stranger")),
    Role("owner", "admin", "storekit_owner"),
    Role("reports", "admin", "storekit_reports"),
)


@dataclass(frozen=True)
class Setting:
    """The tenant that a transaction sets."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict, hash=False)
    tenant: UUID | None = None

    @property
    def foreign(self) -> set[UUID]:
        return {MINE, THEIRS} - {self.tenant}


SETTINGS = (
    Setting("mine", {"storekit.tenant": str(MINE)}, MINE),
    Setting("theirs", {"storekit.tenant": str(THEIRS)}, THEIRS),
    Setting("unset"),
    Setting("empty", {"storekit.tenant": ""}),
    Setting("garbage", {"storekit.tenant": "' OR true --"}),
    Setting("nil", {"storekit.tenant": str(NIL)}, NIL),
    Setting("lookup", {"storekit.tenant": str(MINE), "storekit.lookup": f"of {THEIRS}"}, MINE),
)


@dataclass(frozen=True)
class Cell:
    """The results of one kind of statement, by one role, on one relation, under one setting."""

    role: str
    setting: str
    relation: str
    verb: str
    outcomes: tuple[str, ...]

    @property
    def crossing(self) -> tuple[str, str, str] | None:
        """Role, statement and relation, if it reached rows of a tenant that was not set."""
        return (self.role, self.verb, self.relation) if "foreign rows" in self.outcomes else None


@dataclass
class Matrix:
    """The matrix of one database, or of some of its relations."""

    database: Database
    only: Sequence[str] = ()
    cells: list[Cell] = field(default_factory=list)

    def run(self) -> list[Cell]:
        """Run every cell."""
        with (
            self.database.connect("postgres") as catalogue,
            self.database.connect("postgres") as used,
            self.database.connect("postgres") as virgin,
        ):
            benches = {False: Executor(used), True: Executor(virgin)}
            found = [each for each in relations(catalogue) if not self.only or each.name in self.only]
            for role, relation, verb in product(ROLES, found, VERBS):
                tries = list(statements(catalogue, role, relation, verb))
                for setting in SETTINGS:
                    bench = benches[setting.name == "unset"]
                    outcomes = tuple(bench.outcome(role, setting, *each) for each in tries)
                    self.cells.append(Cell(role.name, setting.name, relation.name, verb, outcomes))
            assert benches[True].never_set(), "a connection that never named a tenant has named one"
        return self.cells

    @property
    def crossings(self) -> set[tuple[str, str, str]]:
        return {cell.crossing for cell in self.cells if cell.crossing}

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(outcome for cell in self.cells for outcome in cell.outcomes)


Try = tuple[str, bool]
"""A statement, and whether only grants and policies are tested, without triggers and keys."""


def statements(
    connection: psycopg.Connection[Any], role: Role, relation: Relation, verb: str
) -> Iterator[Try]:
    """Return the statements of a kind that a role can try; without a grant, as if it had one."""
    columns = granted(connection, role.acting, relation, verb)
    match verb:
        case "SELECT":
            text = f"ROW({listed(columns or relation.names)})::text"
            count = "SELECT " + ", ".join(f"count(*) FILTER (WHERE row LIKE '%{t}%')" for t in (MINE, THEIRS))
            yield f"{count} FROM (SELECT {text} AS row FROM {relation.name}) AS rows", False
            return
        case "INSERT":
            tries = _inserts(connection, relation, columns)
        case "UPDATE":
            tries = _updates(connection, relation, columns)
        case "DELETE":
            tries = iter([(f"DELETE FROM {relation.name}", ())])
        case _:
            tries = iter([(f"TRUNCATE {relation.name} CASCADE", ())])
    for statement, values in list(tries):
        text = psycopg.ClientCursor(connection).mogrify(statement, values)
        yield text, False
        if columns and verb != "TRUNCATE":  # otherwise no trigger and no key is checked
            yield text, True


def _inserts(
    connection: psycopg.Connection[Any], relation: Relation, columns: Sequence[str]
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Return an INSERT that names the other tenant, and an INSERT that leaves the tenant to the setting."""
    row = Jsonb(fresh(relation, sample(connection, relation)))
    for names in [relation.names, *([columns] if columns and len(columns) < len(relation.names) else [])]:
        source = f"SELECT {listed(names)} FROM jsonb_populate_record(NULL::{relation.name}, %s)"
        yield f"INSERT INTO {relation.name} ({listed(names)}) {source}", [row]


def _updates(
    connection: psycopg.Connection[Any], relation: Relation, columns: Sequence[str]
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Return an UPDATE of all rows that reads none, and an UPDATE that gives all rows to another tenant."""
    row, unique = sample(connection, relation), {c.name for c in relation.columns if c.unique}
    own = [name for name in columns or relation.names if name not in unique] or relation.names
    yield f'UPDATE {relation.name} SET "{own[0]}" = %s', [_plain(row.get(own[0]))]
    if relation.tenanted:
        yield f"UPDATE {relation.name} SET tenant_id = %s", [THEIRS]


def _plain(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict | list) else value


def sample(connection: psycopg.Connection[Any], relation: Relation, tenant: UUID = THEIRS) -> dict[str, Any]:
    """Read a row of the tenant, or any row if the relation has no tenant."""
    order = f" ORDER BY tenant_id = '{tenant}' DESC" if relation.tenanted else ""
    query = f"SELECT to_jsonb(r) FROM {relation.name} AS r{order} LIMIT 1"
    found = connection.execute(query.encode()).fetchone()
    return dict(found[0]) if found else {}


def fresh(relation: Relation, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a row with new values in all columns of keys except the tenant."""
    position = 19_000_001 if relation.name == "storekit.domain_event_0002" else 9_000_001
    new: dict[str, Any] = {"uuid": str(uuid4()), "text": new_ref_id(), "bigint": position}
    changed = {c.name: new[c.type] for c in relation.columns if c.unique and c.type in new}
    return {**row, **changed, **({"tenant_id": row["tenant_id"]} if "tenant_id" in row else {})}


def listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


class Executor:
    """A superuser's connection on which roles act, and which sees the tenants of changed rows."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        tables = [each.name for each in relations(connection) if each.holds_rows]
        self._query = " UNION ALL ".join(
            f"SELECT '{table}', tenant_id, ctid, xmin FROM {table}" for table in tables
        ).encode()
        self.before = self.state()

    def state(self) -> set[tuple[Any, ...]]:
        """Return each version of each row, and the tenant that it belongs to."""
        return set(self.connection.execute(self._query).fetchall())

    def never_set(self) -> bool:
        self.undo()
        return self.connection.execute("SELECT current_setting('storekit.tenant', true)").fetchone() == (
            None,
        )

    def act(self, role: Role, setting: Setting, statement: str, bare: bool = False) -> psycopg.Cursor[Any]:
        """Act as a role under a setting, in one trip, after undoing the last statement."""
        lines = ["ROLLBACK; BEGIN", *(["SET LOCAL session_replication_role = replica"] if bare else [])]
        lines.append(f"SET LOCAL SESSION AUTHORIZATION {role.login}")
        lines += [f"SET LOCAL ROLE {role.group}"] if role.group else []
        lines += [f"SELECT set_config('{n}', $v${v}$v$, true)" for n, v in setting.values.items()]
        cursor = self.connection.execute("; ".join([*lines, statement]).encode(), prepare=False)
        while cursor.nextset():
            pass
        return cursor

    def outcome(self, role: Role, setting: Setting, statement: str, bare: bool) -> str:
        """Run a statement and return a short description of what it reached."""
        try:
            cursor = self.act(role, setting, statement, bare)
        except psycopg.Error as error:
            state = str(error.sqlstate)
            if state not in REFUSED:
                raise AssertionError(f"{role.name}, {setting.name}: {statement}") from error
            return f"refused {state}"
        try:
            if statement.startswith("SELECT"):
                seen = dict(zip((MINE, THEIRS), cursor.fetchone() or (), strict=True))
                return self._told({tenant for tenant, count in seen.items() if count}, setting)
            return self._told(self.changed(), setting) if cursor.rowcount else "no rows"
        finally:
            self.undo()

    def undo(self) -> None:
        """Undo the last statement."""
        self.connection.execute("ROLLBACK", prepare=False)

    def changed(self) -> set[UUID]:
        """Return the tenants whose rows have changed; global rows count as a tenant."""
        self.connection.execute("RESET SESSION AUTHORIZATION", prepare=False)
        return {row[1] for row in self.before ^ self.state()}

    @staticmethod
    def _told(tenants: set[UUID], setting: Setting) -> str:
        foreign = tenants & (setting.foreign | ({NIL} - {setting.tenant}))
        return "foreign rows" if foreign else "own rows" if tenants else "no tenant's rows"
