"""Tenants are isolated: every relation, statement, role and function of the catalogue is tried."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from tests.security.isolation_calls import Calls
from tests.security.isolation_catalogue import relations
from tests.security.isolation_keys import Oracles
from tests.security.isolation_matrix import ROLES, SETTINGS, VERBS, Matrix
from tests.security.isolation_tables import MINE, THEIRS
from tests.support.postgres import Database

SEQUENCED = {
    f"storekit.{name}" for name in ("event_inbox", "domain_event", "tenant_head", "event_head", "lease")
}
EVENTS = ("write", "part", "event", "event_inbox", "domain_event", "tenant_head")


@pytest.fixture(scope="module")
def matrix(matrix_db: Database, report: Callable[[str], None]) -> Matrix:
    found = Matrix(matrix_db)
    found.run()
    summary = ", ".join(f"{count} x {what}" for what, count in found.outcomes.most_common())
    summary = summary.replace("foreign rows", "rows of all tenants, by those who may")
    tables = len({cell.relation for cell in found.cells})
    report(
        f"{len(found.cells)} cells = {tables} relations x {len(VERBS)} verbs x {len(ROLES)} roles x"
        f" {len(SETTINGS)} settings, {found.outcomes.total()} statements: {summary}"
    )
    report(f"{len(found.crossings)} allowed crossings by role, 0 others")
    return found


def allowed(database: Database) -> set[tuple[str, str, str]]:
    """Return the role, statement and relation of each intended access to rows of all tenants."""
    entities = database.ask(
        "SELECT schema_name || '.' || table_name FROM storekit.managed WHERE scope <> 'global'"
    )
    reports = database.ask("SELECT 'report.' || viewname FROM pg_views WHERE schemaname = 'report'")
    lookups = database.ask(
        "SELECT m.schema_name || '.' || m.table_name FROM storekit.field AS f"
        " JOIN storekit.managed AS m ON m.entity = f.table_name WHERE f.kind = 'column'"
    )
    with database.connect("postgres") as connection:
        owned = [each.name for each in relations(connection) if each.kind in "rp" and each.tenanted]
    return {
        # the worker and the auditor read the ledger and the events of all tenants, and never write them
        *product(("worker", "auditor"), ("SELECT",), (f"storekit.{name}" for name in EVENTS)),
        # the worker moves the events of all tenants, and the chains of their hashes end where it says
        ("worker", "DELETE", "storekit.event_inbox"),
        ("worker", "INSERT", "storekit.domain_event"),
        ("worker", "UPDATE", "storekit.tenant_head"),
        # reports run as this role, which has no login: report.read_v1 switches to it and records an event
        *(("reports", "SELECT", name) for (name,) in (*entities, *reports)),
        # the owner migrates: a backfill has no tenant, a look-up knows a secret, a table belongs to its owner
        ("owner", "INSERT", "storekit.event_inbox"),
        ("owner", "SELECT", "sales.chance_counts"),
        *(("owner", "SELECT", name) for (name,) in lookups),
        *(("owner", "TRUNCATE", name) for name in owned),
    }


def test_no_cell_reaches_rows_of_another_tenant(matrix_db: Database, matrix: Matrix) -> None:
    """Under every setting a role reads and changes rows of its own tenant only, except where intended."""
    assert matrix.crossings == allowed(matrix_db)


def test_the_matrix_is_complete(matrix_db: Database, matrix: Matrix) -> None:
    """Each table, partition, view and materialised view is tried by each role, statement and setting."""
    found = matrix_db.ask(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class"
        " WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace IN (SELECT oid FROM pg_namespace"
        " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema')"
    )
    tried = {(cell.role, cell.setting, cell.relation, cell.verb) for cell in matrix.cells}
    wanted = product((r.name for r in ROLES), (s.name for s in SETTINGS), (name for (name,) in found), VERBS)
    assert tried == set(wanted)
    assert len(matrix.cells) == len(tried) > 5000
    assert all(cell.outcomes for cell in matrix.cells)


def test_both_tenants_have_rows_in_every_table(matrix_db: Database) -> None:
    """Every table has rows of both tenants, as the matrix could not fail otherwise."""
    with matrix_db.connect("postgres") as connection:
        for relation in (each for each in relations(connection) if each.holds_rows):
            found = connection.execute(f"SELECT DISTINCT tenant_id FROM {relation.name}".encode()).fetchall()
            scope = connection.execute(
                "SELECT scope FROM storekit.managed WHERE schema_name || '.' || table_name = %s",
                [relation.name],
            ).fetchone()
            assert {MINE, THEIRS} <= {tenant for (tenant,) in found} or scope == ("global",), relation.name


def test_grants_work_in_the_own_tenant(matrix_db: Database, matrix: Matrix) -> None:
    """The app reads, inserts, updates and deletes its own rows of every entity."""
    managed = matrix_db.ask(
        "SELECT schema_name || '.' || table_name, mutable FROM storekit.managed WHERE scope = 'tenant'"
    )
    alive = {
        (cell.relation, cell.verb)
        for cell in matrix.cells
        if (cell.role, cell.setting) == ("app", "mine") and "own rows" in cell.outcomes
    }
    for name, mutable in managed:
        verbs = VERBS[:4] if mutable else VERBS[:2]
        assert {(name, verb) for verb in verbs} <= alive


def test_only_the_owner_can_truncate(matrix_db: Database, matrix: Matrix) -> None:
    """TRUNCATE, which policies do not cover, fails with 42501 for every role except the owner."""
    with matrix_db.connect("postgres") as connection:
        tables = {each.name for each in relations(connection) if each.kind in "rp"}
    outcomes = {
        cell.outcomes
        for cell in matrix.cells
        if cell.verb == "TRUNCATE" and cell.role != "owner" and cell.relation in tables
    }
    assert outcomes == {("refused 42501",)}


def test_the_ledger_and_the_events_are_read_only(matrix: Matrix) -> None:
    """Every direct INSERT, UPDATE or DELETE in storekit's own schema fails with 42501.

    Import cursors are exempt: they are records with policies like those of any entity. So is the worker in
    the tables of the sequencer.
    """
    roles = {"app", "worker", "auditor", "reporter", "stranger"}
    tried = [
        cell
        for cell in matrix.cells
        if cell.relation.startswith("storekit.")
        and cell.relation != "storekit.cursor"
        and cell.verb in VERBS[1:4]
        and cell.role in roles
        and not (cell.role == "worker" and cell.relation in SEQUENCED)
    ]
    assert len({cell.relation for cell in tried}) > 10
    others = {
        (cell.relation if outcome != "refused 22P02" else cell.setting, outcome)
        for cell in tried
        for outcome in cell.outcomes
        if outcome != "refused 42501"
    }
    # a view of a union accepts no rows; the planner reads the setting before the grants are checked
    assert others <= {("storekit.event", "refused 55000"), ("garbage", "refused 22P02")}


def test_no_key_reveals_another_tenant(matrix_db: Database, report: Callable[[str], None]) -> None:
    """Foreign keys, unique keys and ON CONFLICT treat rows of other tenants as rows that do not exist."""
    oracles = Oracles(matrix_db)
    assert oracles.run() == []
    assert oracles.tried > 100
    report(f"{oracles.tried} statements to every unique key and foreign key: 0 reveal a foreign row")


def test_no_function_reaches_another_tenant(matrix_db: Database, report: Callable[[str], None]) -> None:
    """Every SECURITY DEFINER function treats foreign ids as unknown, and changes no foreign rows."""
    calls = Calls(matrix_db)
    assert calls.run() == []
    report(
        f"{calls.tried} calls of definer functions with foreign ids and shadowed names: 0 reach a foreign row"
    )


def test_a_cached_plan_uses_the_tenant_of_its_execution(matrix_db: Database, matrix: Matrix) -> None:
    """A statement that was prepared and planned for one tenant reads only the next tenant's rows."""
    read = {
        cell.relation
        for cell in matrix.cells
        if (cell.role, cell.setting, cell.verb, cell.outcomes) == ("app", "mine", "SELECT", ("own rows",))
    }
    with matrix_db.connect("app") as connection, matrix_db.connect("postgres") as catalogue:
        for relation in (each for each in relations(catalogue) if each.tenanted and each.name in read):
            query = f"SELECT DISTINCT tenant_id FROM {relation.name}".encode()
            # from the sixth execution on a generic plan is used for all values
            for tenant in (*[MINE] * 7, THEIRS, MINE):
                with connection.transaction():
                    connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
                    assert connection.execute(query, prepare=True).fetchall() == [(tenant,)]


def test_sequences_have_no_grants(matrix_db: Database) -> None:
    """A sequence reveals how much others write, so only the owner has a grant on it."""
    assert (
        matrix_db.ask("SELECT relname, relacl FROM pg_class WHERE relkind = 'S' AND relacl IS NOT NULL") == []
    )
