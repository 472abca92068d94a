"""The tenant matrix reports each planted defect by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from storekit.drivers.postgres.admin.isolation import breaches
from tests.security.isolation_calls import Calls, calls
from tests.security.isolation_keys import Oracles
from tests.security.isolation_matrix import Matrix
from tests.security.isolation_tables import MINE, THEIRS, scratch_copy
from tests.support.postgres import Database

READ, CHANGED = {"SELECT"}, {"SELECT", "UPDATE", "DELETE"}
CROSSINGS: dict[str, tuple[str, str, str, set[str]]] = {
    "a policy for all roles and rows": (
        "CREATE POLICY broken ON sales.chances USING (true)", "sales.chances", "app", CHANGED,
    ),
    "a policy that lets rows be written anywhere": (
        "ALTER POLICY tenant ON sales.remarks WITH CHECK (true)", "sales.remarks", "owner",
        {"INSERT", "UPDATE"},
    ),
    "a policy that treats an unset tenant as all tenants": (
        "ALTER POLICY tenant ON public.activity_runs"
        " USING (tenant_id = coalesce(storekit.current_tenant(), tenant_id))",
        "public.activity_runs", "app", CHANGED,
    ),
    "a policy for deletes only": (
        "CREATE POLICY broken ON sales.sessions FOR DELETE USING (true)", "sales.sessions", "app", {"DELETE"},
    ),
    "a policy and a grant that let rows be inserted": (
        "CREATE POLICY broken ON public.blog_posts FOR INSERT WITH CHECK (true);"
        " GRANT INSERT ON public.blog_posts TO storekit_app",
        "public.blog_posts", "app", {"INSERT"},
    ),
    "a missing FORCE": (
        "ALTER TABLE public.tool_calls NO FORCE ROW LEVEL SECURITY", "public.tool_calls", "owner",
        CHANGED | {"INSERT"},
    ),
    "row level security that is off": (
        "ALTER TABLE public.activity_outputs DISABLE ROW LEVEL SECURITY", "public.activity_outputs", "app",
        CHANGED,
    ),
    "a partition that is granted": (
        "GRANT SELECT ON storekit.domain_event_0001 TO storekit_app;"
        " ALTER TABLE storekit.domain_event_0001 DISABLE ROW LEVEL SECURITY",
        "storekit.domain_event_0001", "app", READ,
    ),
    "a materialised view that is granted": (
        "GRANT SELECT ON sales.chance_counts TO storekit_app", "sales.chance_counts", "app", READ,
    ),
    "a view that reads as its owner": (
        "CREATE VIEW sales.peek AS SELECT note FROM sales.remarks;"
        " ALTER VIEW sales.peek OWNER TO storekit_reports; GRANT SELECT ON sales.peek TO storekit_app",
        "sales.peek", "app", READ,
    ),
    "a report that is granted": (
        "GRANT USAGE ON SCHEMA report TO storekit_app; GRANT SELECT ON report.chances TO storekit_app",
        "report.chances", "app", READ,
    ),
    "a TRUNCATE that is granted": (
        "GRANT TRUNCATE ON sales.tenants TO storekit_app", "sales.tenants", "app", {"TRUNCATE"},
    ),
}  # fmt: skip
ORACLES = {
    "a unique key of all tenants": (
        "CREATE UNIQUE INDEX all_tenants ON sales.sessions (token_digest)",
        "unique key sales.all_tenants of sales.sessions leaks to app",
    ),
    "a foreign key of all tenants": (
        "CREATE UNIQUE INDEX ON sales.chances (id);"
        " ALTER TABLE sales.remarks DROP CONSTRAINT remarks_tenant_id_chance_id_fkey,"
        " ADD CONSTRAINT blind FOREIGN KEY (chance_id) REFERENCES sales.chances (id)",
        "foreign key blind of sales.remarks leaks to app",
    ),
    "an upsert without a policy": (
        "ALTER TABLE public.contracts NO FORCE ROW LEVEL SECURITY",
        "owner changes a row of another tenant by ON CONFLICT on contracts_pkey",
    ),
}


@pytest.fixture(scope="module")
def crossings(matrix_db: Database) -> Iterator[set[tuple[str, str, str]]]:
    """Plant every defect of CROSSINGS in a relation of its own, and run the matrix over these relations."""
    with scratch_copy(matrix_db) as scratch:
        for statement, *_ in CROSSINGS.values():
            scratch.ask(statement)
        matrix = Matrix(scratch, [relation for _, relation, *_ in CROSSINGS.values()])
        matrix.run()
        yield matrix.crossings


@pytest.mark.parametrize("what", CROSSINGS)
def test_missing_isolation_is_reported(crossings: set[tuple[str, str, str]], what: str) -> None:
    """The cells of a broken relation name the role and the statements that reach another tenant's rows."""
    _, relation, role, verbs = CROSSINGS[what]
    assert {(role, verb, relation) for verb in verbs} <= crossings


@pytest.fixture(scope="module")
def findings(matrix_db: Database) -> Iterator[list[str]]:
    """Plant every defect of ORACLES, and try all keys."""
    with scratch_copy(matrix_db) as scratch:
        for statement, _ in ORACLES.values():
            scratch.ask(statement)
        yield Oracles(scratch).run()


@pytest.mark.parametrize("what", ORACLES)
def test_a_key_without_the_tenant_is_reported(findings: list[str], what: str) -> None:
    """A key that does not begin with the tenant, and an upsert without a policy, are each reported."""
    assert any(line.startswith(ORACLES[what][1]) for line in findings), findings


MEMBERS = (
    "CREATE TABLE sales.members (login text, tenant uuid); ALTER TABLE sales.members OWNER TO storekit_owner"
)
FUNCTION = """
CREATE FUNCTION sales.{name}({arguments}) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER {path} AS
$$ BEGIN PERFORM set_config('storekit.tenant', {tenant}, true); {body}; END $$;
REVOKE EXECUTE ON FUNCTION sales.{name} FROM PUBLIC; GRANT EXECUTE ON FUNCTION sales.{name} TO storekit_app;
"""
PINNED = "SET search_path = pg_catalog, sales, pg_temp"
MEMBER = "(SELECT tenant::text FROM members WHERE login = session_user)"
TITLES = "RETURN QUERY SELECT title FROM sales.chances ORDER BY title"
SEEN = "RETURN QUERY SELECT title FROM sales.chances WHERE ref_id = p_ref_id"
TAKEN = "UPDATE sales.chances SET title = 'mine now' WHERE ref_id = p_ref_id"


@pytest.fixture(scope="module")
def trusting(matrix_db: Database) -> Iterator[Database]:
    """Create SECURITY DEFINER functions with every kind of defect, and one without a defect."""
    with scratch_copy(matrix_db) as scratch:
        scratch.ask(MEMBERS)
        scratch.ask("INSERT INTO sales.members VALUES ('app', %s)", MINE)
        for name, path in (("loose_v1", ""), ("pinned_v1", PINNED)):
            scratch.ask(FUNCTION.format(name=name, arguments="", path=path, tenant=MEMBER, body=TITLES))
            scratch.ask(f"ALTER FUNCTION sales.{name} OWNER TO storekit_owner")
        for name, body in (("seen_v1", SEEN), ("taken_v1", TAKEN)):
            facts = {"name": name, "arguments": "p_ref_id text", "path": PINNED, "tenant": f"'{THEIRS}'"}
            scratch.ask(FUNCTION.format(**facts, body=body))
        yield scratch


def _titles(database: Database, function: str) -> list[Any]:
    """Read the titles as a login that puts its own table in front of the real one."""
    with database.connect("app") as connection:
        connection.execute("SET search_path = sales")
        connection.execute(
            "CREATE TEMP TABLE members (login text, tenant uuid); GRANT ALL ON members TO PUBLIC"
        )
        connection.execute("INSERT INTO members VALUES ('app', %s)", [THEIRS])
        return [title for (title,) in connection.execute(f"SELECT {function}()".encode()).fetchall()]


@pytest.mark.parametrize(("name", "whose"), [("sales.loose_v1", THEIRS), ("sales.pinned_v1", MINE)])
def test_a_definer_function_without_a_search_path_is_reported(
    trusting: Database, name: str, whose: object
) -> None:
    """Without a pinned path a table in pg_temp shadows the owner's: the lint and the calls report it."""
    loose = whose == THEIRS
    assert _titles(trusting, name) == [f"of {whose}"]
    found = [line for line in Calls(trusting, lambda ids: {name: [{}]}).run() if line.startswith(name)]
    assert [line.partition(": ")[0] for line in found] == [
        f"{name} resolves names through the search_path of app"
    ] * loose
    with trusting.connect("admin") as connection:
        linted = [line.partition("; ")[0] for line in breaches(connection) if name in line]
    assert linted == [f"function {name}() runs as storekit_owner with the search_path of its caller"] * loose


@pytest.mark.parametrize(
    ("name", "finding"),
    [("sales.seen_v1", "shows app rows of another tenant"), ("sales.taken_v1", "lets app change")],
)
def test_a_definer_function_that_bypasses_policies_is_reported(
    trusting: Database, name: str, finding: str
) -> None:
    """A function that bypasses policies reads and changes rows of other tenants: the calls report both."""
    found = Calls(trusting, lambda ids: {name: [{"p_ref_id": ids.ref_id}]}).run()
    assert any(line.startswith(f"{name} {finding}") for line in found), found


def test_an_untested_definer_function_is_reported(trusting: Database) -> None:
    """A new function that the app may execute is reported until a call for it is listed."""
    one = "storekit.renew_v1"
    found = Calls(trusting, lambda ids: {one: calls(ids)[one]}).run()
    names = ("loose", "pinned", "seen", "taken")
    assert sorted(found) == [
        f"no call is listed for sales.{name}_v1, which ['app'] may execute" for name in names
    ]
