"""The matrix finds what it is for: each planted defect is reported, and by name."""

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
    "a policy for everybody": (
        "CREATE POLICY broken ON walls.chances USING (true)", "walls.chances", "app", CHANGED,
    ),
    "a policy that lets rows be written anywhere": (
        "ALTER POLICY tenant ON walls.remarks WITH CHECK (true)", "walls.remarks", "owner",
        {"INSERT", "UPDATE"},
    ),
    "a policy that takes an unset tenant for all": (
        "ALTER POLICY tenant ON public.activity_runs"
        " USING (tenant_id = coalesce(storekit.current_tenant(), tenant_id))",
        "public.activity_runs", "app", CHANGED,
    ),
    "a policy for deletes alone": (
        "CREATE POLICY broken ON walls.sessions FOR DELETE USING (true)", "walls.sessions", "app", {"DELETE"},
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
        "GRANT SELECT ON walls.chance_counts TO storekit_app", "walls.chance_counts", "app", READ,
    ),
    "a view that reads as its owner": (
        "CREATE VIEW walls.peek AS SELECT note FROM walls.remarks;"
        " ALTER VIEW walls.peek OWNER TO storekit_reports; GRANT SELECT ON walls.peek TO storekit_app",
        "walls.peek", "app", READ,
    ),
    "a report that is granted": (
        "GRANT USAGE ON SCHEMA report TO storekit_app; GRANT SELECT ON report.chances TO storekit_app",
        "report.chances", "app", READ,
    ),
    "a TRUNCATE that is granted": (
        "GRANT TRUNCATE ON walls.tenants TO storekit_app", "walls.tenants", "app", {"TRUNCATE"},
    ),
}  # fmt: skip
ORACLES = {
    "a unique key of all tenants": (
        "CREATE UNIQUE INDEX everybodys ON walls.sessions (token_digest)",
        "unique key walls.everybodys of walls.sessions tells app",
    ),
    "a foreign key of all tenants": (
        "CREATE UNIQUE INDEX ON walls.chances (id);"
        " ALTER TABLE walls.remarks DROP CONSTRAINT remarks_tenant_id_chance_id_fkey,"
        " ADD CONSTRAINT blind FOREIGN KEY (chance_id) REFERENCES walls.chances (id)",
        "foreign key blind of walls.remarks tells app",
    ),
    "an upsert that no policy stops": (
        "ALTER TABLE public.contracts NO FORCE ROW LEVEL SECURITY",
        "owner changes a row of theirs by ON CONFLICT on contracts_pkey",
    ),
}


@pytest.fixture(scope="module")
def crossings(walled: Database) -> Iterator[set[tuple[str, str, str]]]:
    """Plant every defect of CROSSINGS, each in a relation of its own, and run the matrix over these."""
    with scratch_copy(walled) as scratch:
        for statement, *_ in CROSSINGS.values():
            scratch.ask(statement)
        matrix = Matrix(scratch, [relation for _, relation, *_ in CROSSINGS.values()])
        matrix.run()
        yield matrix.crossings


@pytest.mark.parametrize("what", CROSSINGS)
def test_a_broken_wall_is_a_crossing(crossings: set[tuple[str, str, str]], what: str) -> None:
    """The cells of the broken relation name the role and the verbs that reach another tenant's rows."""
    _, relation, role, verbs = CROSSINGS[what]
    assert {(role, verb, relation) for verb in verbs} <= crossings


@pytest.fixture(scope="module")
def told(walled: Database) -> Iterator[list[str]]:
    """Plant every defect of ORACLES, and ask all keys."""
    with scratch_copy(walled) as scratch:
        for statement, _ in ORACLES.values():
            scratch.ask(statement)
        yield Oracles(scratch).run()


@pytest.mark.parametrize("what", ORACLES)
def test_a_key_without_the_tenant_tells(told: list[str], what: str) -> None:
    """A key that does not begin with the tenant, and an upsert past a policy, are each reported."""
    assert any(line.startswith(ORACLES[what][1]) for line in told), told


GUESTS = (
    "CREATE TABLE walls.guests (login text, tenant uuid); ALTER TABLE walls.guests OWNER TO storekit_owner"
)
FUNCTION = """
CREATE FUNCTION walls.{name}({arguments}) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER {path} AS
$$ BEGIN PERFORM set_config('storekit.tenant', {tenant}, true); {body}; END $$;
REVOKE EXECUTE ON FUNCTION walls.{name} FROM PUBLIC; GRANT EXECUTE ON FUNCTION walls.{name} TO storekit_app;
"""
PINNED = "SET search_path = pg_catalog, walls, pg_temp"
GUEST = "(SELECT tenant::text FROM guests WHERE login = session_user)"
TITLES = "RETURN QUERY SELECT title FROM walls.chances ORDER BY title"
SEEN = "RETURN QUERY SELECT title FROM walls.chances WHERE ref_id = p_ref_id"
TAKEN = "UPDATE walls.chances SET title = 'mine now' WHERE ref_id = p_ref_id"


@pytest.fixture(scope="module")
def trusting(walled: Database) -> Iterator[Database]:
    """Plant definer functions of every bad kind, and a good one."""
    with scratch_copy(walled) as scratch:
        scratch.ask(GUESTS)
        scratch.ask("INSERT INTO walls.guests VALUES ('app', %s)", MINE)
        for name, path in (("loose_v1", ""), ("pinned_v1", PINNED)):
            scratch.ask(FUNCTION.format(name=name, arguments="", path=path, tenant=GUEST, body=TITLES))
            scratch.ask(f"ALTER FUNCTION walls.{name} OWNER TO storekit_owner")
        for name, body in (("seen_v1", SEEN), ("taken_v1", TAKEN)):
            facts = {"name": name, "arguments": "p_ref_id text", "path": PINNED, "tenant": f"'{THEIRS}'"}
            scratch.ask(FUNCTION.format(**facts, body=body))
        yield scratch


def _titles(database: Database, function: str) -> list[Any]:
    """Read the titles as a guest who brings a list of guests of his own."""
    with database.connect("app") as connection:
        connection.execute("SET search_path = walls")
        connection.execute(
            "CREATE TEMP TABLE guests (login text, tenant uuid); GRANT ALL ON guests TO PUBLIC"
        )
        connection.execute("INSERT INTO guests VALUES ('app', %s)", [THEIRS])
        return [title for (title,) in connection.execute(f"SELECT {function}()".encode()).fetchall()]


@pytest.mark.parametrize(("name", "whose"), [("walls.loose_v1", THEIRS), ("walls.pinned_v1", MINE)])
def test_a_definer_function_without_a_search_path_is_caught(
    trusting: Database, name: str, whose: object
) -> None:
    """A table in pg_temp speaks for the owner's where no path is pinned: lint and calls both say so."""
    loose = whose == THEIRS
    assert _titles(trusting, name) == [f"of {whose}"]
    found = [line for line in Calls(trusting, lambda ids: {name: [{}]}).run() if line.startswith(name)]
    assert [line.partition(": ")[0] for line in found] == [f"{name} lets app say what its names mean"] * loose
    with trusting.connect("admin") as connection:
        linted = [line for line in breaches(connection) if name in line]
    assert linted == [f"function {name}() runs as storekit_owner with the search_path of its caller"] * loose


@pytest.mark.parametrize(
    ("name", "told"), [("walls.seen_v1", "tells app what is theirs"), ("walls.taken_v1", "lets app change")]
)
def test_a_definer_function_that_names_its_own_tenant_is_caught(
    trusting: Database, name: str, told: str
) -> None:
    """A function that no policy binds reads and changes foreign rows: its calls say which."""
    found = Calls(trusting, lambda ids: {name: [{"p_ref_id": ids.ref_id}]}).run()
    assert any(line.startswith(f"{name} {told}") for line in found), found


def test_a_definer_function_that_nobody_tries_is_caught(trusting: Database) -> None:
    """For each new function that the app may call it must be said how to attack it."""
    one = "storekit.renew_v1"
    found = Calls(trusting, lambda ids: {one: calls(ids)[one]}).run()
    names = ("loose", "pinned", "seen", "taken")
    assert sorted(found) == [f"say how to call walls.{name}_v1, as ['app'] may" for name in names]
