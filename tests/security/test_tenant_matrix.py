"""No way from one tenant to another: every relation, verb, role and route of the catalogue is tried."""

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

EVENTS = ("write", "part", "event", "event_inbox", "domain_event", "tenant_head")


@pytest.fixture(scope="module")
def matrix(walled: Database, report: Callable[[str], None]) -> Matrix:
    found = Matrix(walled)
    found.run()
    told = ", ".join(f"{count} x {what}" for what, count in found.outcomes.most_common())
    told = told.replace("foreign rows", "rows of all tenants, by those who may")
    tables = len({cell.relation for cell in found.cells})
    report(
        f"{len(found.cells)} cells = {tables} relations x {len(VERBS)} verbs x {len(ROLES)} roles x"
        f" {len(SETTINGS)} settings, {found.outcomes.total()} statements: {told}"
    )
    report(f"{len(found.crossings)} meant crossings by role, 0 others")
    return found


def meant(database: Database) -> set[tuple[str, str, str]]:
    """List what is to reach the rows of all tenants, by role, verb and relation; nothing else may."""
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
        # who sweeps and audits reads the ledger and the events of all tenants, and never writes them
        *product(("worker", "auditor"), ("SELECT",), (f"storekit.{name}" for name in EVENTS)),
        # reports run as this role, which nobody is: report.read_v1 acts as it and leaves an event
        *(("reports", "SELECT", name) for (name,) in (*entities, *reports)),
        # the owner is who migrates: a backfill names no tenant, a look-up knows a secret, a table is its own
        ("owner", "INSERT", "storekit.event_inbox"),
        ("owner", "SELECT", "walls.chance_counts"),
        *(("owner", "SELECT", name) for (name,) in lookups),
        *(("owner", "TRUNCATE", name) for name in owned),
    }


def test_no_cell_reaches_rows_of_another_tenant(walled: Database, matrix: Matrix) -> None:
    """Whatever the setting, a role sees and changes rows of its own tenant alone, but for what is meant."""
    assert matrix.crossings == meant(walled)


def test_the_matrix_holds_every_relation_in_every_verb(walled: Database, matrix: Matrix) -> None:
    """Each table, partition, view and materialised view is tried by each role, verb and setting."""
    found = walled.ask(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class"
        " WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace IN (SELECT oid FROM pg_namespace"
        " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema')"
    )
    tried = {(cell.role, cell.setting, cell.relation, cell.verb) for cell in matrix.cells}
    wanted = product((r.name for r in ROLES), (s.name for s in SETTINGS), (name for (name,) in found), VERBS)
    assert tried == set(wanted)
    assert len(matrix.cells) == len(tried) > 5000
    assert all(cell.outcomes for cell in matrix.cells)


def test_both_tenants_have_rows_in_every_table(walled: Database) -> None:
    """A table without rows of both tenants would prove nothing."""
    with walled.connect("postgres") as connection:
        for relation in (each for each in relations(connection) if each.holds_rows):
            found = connection.execute(f"SELECT DISTINCT tenant_id FROM {relation.name}".encode()).fetchall()
            scope = connection.execute(
                "SELECT scope FROM storekit.managed WHERE schema_name || '.' || table_name = %s",
                [relation.name],
            ).fetchone()
            assert {MINE, THEIRS} <= {tenant for (tenant,) in found} or scope == ("global",), relation.name


def test_what_is_granted_works_in_ones_own_tenant(walled: Database, matrix: Matrix) -> None:
    """The app reads, inserts, updates and deletes its own rows of every entity: the cells are alive."""
    managed = walled.ask(
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


def test_nobody_truncates(walled: Database, matrix: Matrix) -> None:
    """TRUNCATE, which no policy sees, is 42501 for everybody but the owner."""
    with walled.connect("postgres") as connection:
        tables = {each.name for each in relations(connection) if each.kind in "rp"}
    outcomes = {
        cell.outcomes
        for cell in matrix.cells
        if cell.verb == "TRUNCATE" and cell.role != "owner" and cell.relation in tables
    }
    assert outcomes == {("refused 42501",)}


def test_nobody_writes_the_ledger_or_the_events(matrix: Matrix) -> None:
    """Every direct INSERT, UPDATE and DELETE in storekit's own schema is 42501, whatever the setting.

    Cursors of other systems are records like any other, behind the walls of these.
    """
    roles = {"app", "worker", "auditor", "reporter", "stranger"}
    tried = [
        cell
        for cell in matrix.cells
        if cell.relation.startswith("storekit.")
        and cell.relation != "storekit.cursor"
        and cell.verb in VERBS[1:4]
        and cell.role in roles
    ]
    assert len({cell.relation for cell in tried}) > 10
    others = {
        (cell.relation if outcome != "refused 22P02" else cell.setting, outcome)
        for cell in tried
        for outcome in cell.outcomes
        if outcome != "refused 42501"
    }
    # a view of a union takes no rows from anybody; the planner reads the setting before the grants are asked
    assert others <= {("storekit.event", "refused 55000"), ("garbage", "refused 22P02")}


def test_no_key_tells_of_another_tenant(walled: Database, report: Callable[[str], None]) -> None:
    """A foreign key, a unique key and ON CONFLICT answer of foreign rows as of rows that are not there."""
    oracles = Oracles(walled)
    assert oracles.run() == []
    assert oracles.asked > 100
    report(f"{oracles.asked} statements to every unique key and foreign key: 0 tell of a foreign row")


def test_no_function_reaches_another_tenant(walled: Database, report: Callable[[str], None]) -> None:
    """Every definer function answers foreign ids as unknown ones, and changes nothing of theirs."""
    calls = Calls(walled)
    assert calls.run() == []
    report(
        f"{calls.asked} calls of definer functions with foreign ids and shadowed names: 0 reach a foreign row"
    )


def test_a_kept_plan_reads_the_tenant_of_its_execution(walled: Database, matrix: Matrix) -> None:
    """A statement that was prepared and planned for one tenant reads the rows of the next one alone."""
    read = {
        cell.relation
        for cell in matrix.cells
        if (cell.role, cell.setting, cell.verb, cell.outcomes) == ("app", "mine", "SELECT", ("own rows",))
    }
    with walled.connect("app") as connection, walled.connect("postgres") as catalogue:
        for relation in (each for each in relations(catalogue) if each.tenanted and each.name in read):
            query = f"SELECT DISTINCT tenant_id FROM {relation.name}".encode()
            # a plan is kept for all values from the sixth execution on
            for tenant in (*[MINE] * 7, THEIRS, MINE):
                with connection.transaction():
                    connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
                    assert connection.execute(query, prepare=True).fetchall() == [(tenant,)]


def test_no_sequence_is_anybodys(walled: Database) -> None:
    """A sequence tells how much others write: nobody but the owner has a grant on one."""
    assert walled.ask("SELECT relname, relacl FROM pg_class WHERE relkind = 'S' AND relacl IS NOT NULL") == []
