"""Global records, tenants as records, look-ups without a tenant, and reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import tuple_row

from storekit.drivers.postgres.admin.runner import grant
from storekit.ids import new_id, new_ref_id
from tests.support.postgres import BASE, MEMBERS, MUTABLE, SOFT_DELETE, Database, sample_database
from tests.support.write_api import Api, change_op, insert_op, refused

NIL = UUID(int=0)
TABLES = f"""
CREATE TABLE plans ({BASE}{MUTABLE}, name text NOT NULL, UNIQUE (id));
SELECT storekit.manage('plans', 'global');
CREATE TABLE tenants ({BASE}{MUTABLE}, name text, plan_id uuid REFERENCES plans (id));
SELECT storekit.manage('tenants', 'self');
CREATE TABLE sessions ({BASE}{MUTABLE}{SOFT_DELETE}, token_digest text NOT NULL, user_name text);
CREATE INDEX ON sessions (token_digest);
INSERT INTO storekit.field (table_name, field, kind) VALUES ('sessions', 'token_digest', 'column');
SELECT storekit.manage('sessions');
SET LOCAL ROLE storekit_reports;
CREATE VIEW report.sessions_by_tenant AS
    SELECT tenant_id, count(*) AS sessions FROM public.sessions GROUP BY tenant_id;
CREATE VIEW report.plans_by_tenant AS SELECT tenant_id, plan_id FROM public.tenants;
SET LOCAL ROLE storekit_owner;
CREATE VIEW report.not_a_report AS SELECT 1 AS one;
"""


@pytest.fixture(scope="module")
def database(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(cluster, tmp_path_factory.mktemp("lines"), TABLES) as made:
        made.ask(
            "DO $$ BEGIN IF to_regrole('reporter') IS NULL THEN CREATE ROLE reporter LOGIN; END IF; END $$"
        )
        grant(made.url("admin"), MEMBERS | {"storekit_reporter": ["reporter"]})
        yield made


@pytest.fixture
def api(database: Database) -> Iterator[Api]:
    with database.connect() as connection:
        yield Api(connection)


@pytest.fixture
def admin(database: Database) -> Iterator[Api]:
    with database.connect("admin", options="-c role=storekit_owner") as connection:
        yield Api(connection, NIL, "user:admin")


def as_tenant(api: Api, query: str, tenant: UUID | None = None) -> list[tuple[object, ...]]:
    with api.connection.transaction(), api.connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant or api.tenant)])
        return cursor.execute(query.encode()).fetchall()


def test_global_records_are_read_by_all_and_written_by_the_admin(
    database: Database, api: Api, admin: Api
) -> None:
    """A global row is visible to every tenant; a tenant that writes it is refused."""
    ref_id = admin.insert("plans", name="Pro")
    assert ("Pro",) in as_tenant(api, "SELECT name FROM plans")
    for tenant in (api.tenant, NIL):
        for op in (
            insert_op("plans", [{"name": "Free"}]),
            change_op("update", "plans", {"ref_id": ref_id, "name": "Free"}),
            change_op("delete", "plans", {"ref_id": ref_id}),
        ):
            with pytest.raises(psycopg.Error) as error:
                Api(api.connection, tenant).commit(new_id(), [op])
            assert error.value.sqlstate == "SK403"
    for statement in (
        "INSERT INTO plans (name) VALUES ('x')", "UPDATE plans SET name = 'x'", "DELETE FROM plans",
    ):  # fmt: skip
        for tenant in (api.tenant, NIL):
            with pytest.raises(psycopg.Error) as error:
                as_tenant(api, statement, tenant)
            assert error.value.sqlstate == "42501"
    assert database.ask("SELECT name FROM plans WHERE ref_id = %s", ref_id) == [("Pro",)]


def test_the_admin_cannot_write_records_of_a_tenant(admin: Api) -> None:
    """The admin without a tenant cannot write rows of a tenant, and a global row cannot name a tenant."""
    refused_by(admin, insert_op("sessions", [{"token_digest": "d"}]), "SK403")
    refused_by(Api(admin.connection, uuid4()), insert_op("plans", [{"name": "x"}]), "SK403")


def refused_by(api: Api, op: dict[str, object], state: str) -> None:
    with pytest.raises(psycopg.Error) as error:
        api.commit(new_id(), [op])
    assert error.value.sqlstate == state


def test_a_tenant_record_is_its_own_tenant(api: Api, admin: Api) -> None:
    """The row of a tenant has its own id as tenant_id, can refer to global rows, and is private."""
    plan = insert_op("plans", [{"name": "Team"}])
    admin.commit(new_id(), [plan])
    mine = insert_op("tenants", [{"id": str(api.tenant), "name": "Acme", "plan_id": plan["rows"][0]["id"]}])
    assert api.commit(new_id(), [mine])["outcome"] == "committed"
    assert as_tenant(api, "SELECT name FROM tenants") == [("Acme",)]
    assert as_tenant(api, "SELECT name FROM tenants", uuid4()) == []
    refused(api, insert_op("tenants", [{"name": "Other"}]), "23514")


def session(api: Api, digest: str) -> str:
    return api.insert("sessions", token_digest=digest, user_name="jane")


def find(api: Api, digest: str) -> dict[str, str] | None:
    row = api.connection.execute("SELECT storekit.lookup_v1('sessions', %s)", [digest]).fetchone()
    assert row is not None
    found: dict[str, str] | None = row[0]
    return found


def test_a_lookup_needs_no_tenant(api: Api) -> None:
    """A look-up by digest returns tenant and ref_id, without a tenant, and nothing else."""
    digest = uuid4().hex
    ref_id = session(api, digest)
    assert find(api, digest) == {"tenant_id": str(api.tenant), "ref_id": ref_id}
    assert find(api, uuid4().hex) is None
    api.commit(new_id(), [change_op("delete", "sessions", {"ref_id": ref_id})])
    assert find(api, digest) is None


def test_an_ambiguous_digest_finds_nothing(api: Api) -> None:
    """A digest of two rows finds neither."""
    digest = uuid4().hex
    session(api, digest)
    session(Api(api.connection), digest)
    assert find(api, digest) is None


def test_a_lookup_does_not_expose_rows(api: Api) -> None:
    """Neither the setting nor an earlier look-up in the transaction shows a row of another tenant."""
    digest = uuid4().hex
    session(api, digest)
    with api.connection.transaction():
        api.connection.execute("SELECT set_config('storekit.lookup', %s, true)", [digest])
        find(api, digest)
        assert api.connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    assert api.connection.execute("SELECT current_setting('storekit.lookup', true)").fetchone() in [
        ("",),
        (None,),
    ]


def test_a_lookup_reads_one_row(api: Api) -> None:
    """Among the sessions of all tenants the index of the digest finds one, and no other row is read."""
    digest = uuid4().hex
    api.commit(new_id(), [insert_op("sessions", [{"token_digest": uuid4().hex} for _ in range(2000)])])
    session(api, digest)
    # of this transaction: the shared statistics are updated late, and would hide what was read
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'sessions'"
    with api.connection.transaction():
        assert find(api, digest) is not None
        assert api.connection.execute(read).fetchone() == (1,)


@pytest.mark.parametrize(
    ("entity", "value", "state"),
    [("plans", "x", "SK400"), ("sessions", "", "SK400"), ("nothing", "x", "SK424")],
)
def test_a_lookup_of_an_undeclared_field_is_refused(api: Api, entity: str, value: str, state: str) -> None:
    """Only a lookup field of a class finds a row, and only by a value."""
    with pytest.raises(psycopg.Error) as error:
        api.connection.execute("SELECT storekit.lookup_v1(%s, %s)", [entity, value])
    assert error.value.sqlstate == state


READ = "SELECT report.read_v1('user:cfo', 'sessions_by_tenant', %s)"
OF_READS = (
    "SELECT type, actor, login, tenant_id FROM storekit.event"
    " WHERE entity = 'report.sessions_by_tenant' AND ref_id = %s"
)


def test_a_report_reads_all_tenants_and_is_audited(database: Database, api: Api) -> None:
    """A report is read in the transaction after the one that records an event with its login."""
    session(api, uuid4().hex)
    session(Api(api.connection), uuid4().hex)
    read = new_ref_id()
    with database.connect("reporter") as connection:
        assert connection.execute(READ, [read]).fetchall() == []
        assert database.ask(OF_READS, read) == [("report.read", "user:cfo", "reporter", NIL)]
        rows = connection.execute(READ, [read]).fetchall()
        assert str(api.tenant) in {row[0]["tenant_id"] for row in rows}
        assert len(rows) > 1
    assert len(database.ask(OF_READS, read)) == 1


@pytest.mark.parametrize("how", ["transaction", "savepoint"])
def test_a_report_cannot_be_read_without_its_event(database: Database, api: Api, how: str) -> None:
    """In one transaction, also with savepoints, no row is read, so a rollback takes nothing but the event."""
    session(api, uuid4().hex)
    read = new_ref_id()
    with database.connect("reporter") as connection:
        with connection.transaction(force_rollback=True):
            with connection.transaction() if how == "savepoint" else nullcontext():
                assert connection.execute(READ, [read]).fetchall() == []
            with pytest.raises(psycopg.Error, match="not committed yet"):
                connection.execute(READ, [read])
        assert connection.execute(READ, [read]).fetchall() == []
    assert len(database.ask(OF_READS, read)) == 1


@pytest.mark.parametrize(
    ("change", "later"),
    [
        ("'user:ceo', 'sessions_by_tenant'", 0),
        ("'user:cfo', 'plans_by_tenant'", 0),
        ("'user:cfo', 'sessions_by_tenant'", 301),
    ],
)
def test_a_recorded_read_admits_one_reader_for_a_short_time(
    database: Database, change: str, later: int
) -> None:
    """The event of a read admits only its own actor and report, for five minutes."""
    read = new_ref_id()
    with database.connect("reporter") as connection:
        connection.execute(READ, [read])
        with database.later(seconds=later), pytest.raises(psycopg.Error) as error:
            connection.execute(f"SELECT report.read_v1({change}, %s)".encode(), [read])
    assert error.value.sqlstate == "SK400"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM report.sessions_by_tenant",
        "SELECT * FROM sessions",
        "SELECT * FROM storekit.event",
        "INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type) VALUES (storekit.nil(), 'report.x', 'x', 1, 'report.read')",  # noqa: E501
        "SET ROLE storekit_reports",
    ],
)
def test_the_reporter_can_only_read_reports(database: Database, query: str) -> None:
    """The reporter cannot read views, tables or events, nor become another role."""
    with database.connect("reporter") as connection, pytest.raises(psycopg.Error) as error:
        connection.execute(query.encode())
    assert error.value.sqlstate == "42501"


@pytest.mark.parametrize("login", ["app", "worker", "auditor"])
def test_only_the_reporter_can_read_reports(database: Database, login: str) -> None:
    """Other logins cannot execute a report."""
    with database.connect(login) as connection, pytest.raises(psycopg.Error) as error:
        connection.execute("SELECT report.read_v1('me', 'sessions_by_tenant')")
    assert error.value.sqlstate == "42501"


@pytest.mark.parametrize(
    ("actor", "name"), [("", "sessions_by_tenant"), ("me", "nothing"), ("me", "not_a_report")]
)
def test_a_report_requires_a_view_and_an_actor(database: Database, actor: str, name: str) -> None:
    """Without an actor, or for a view that is not a report, nothing is read."""
    with database.connect("reporter") as connection, pytest.raises(psycopg.Error) as error:
        connection.execute("SELECT report.read_v1(%s, %s)", [actor, name])
    assert error.value.sqlstate == "SK400"


def test_unknown_global_records_are_not_found(api: Api, admin: Api) -> None:
    """The admin gets NotFound for a global record that does not exist."""
    refused_by(admin, change_op("update", "plans", {"ref_id": new_ref_id(), "name": "x"}), "SK404")
