"""The migration runner on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storekit.drivers.postgres.admin.runner import grant, migrate, status
from storekit.errors import ConfigurationError, Unavailable
from storekit.ids import new_id
from storekit.schema.lines import Line, core
from tests.support.postgres import (
    BASE,
    MEMBERS,
    MUTABLE,
    PARTS,
    SAMPLE,
    Database,
    fresh_database,
    migrated_database,
    write_line,
)
from tests.support.write_api import Api, change_op, insert_op


@pytest.fixture
def empty(cluster: str) -> Iterator[Database]:
    with fresh_database(cluster) as fresh:
        yield fresh


@pytest.fixture
def database(cluster: str) -> Iterator[Database]:
    """Create a database with storekit's own line."""
    with migrated_database(cluster) as made:
        yield made


def apply(database: Database, *lines: Line) -> list[str]:
    """Apply lines as the admin and return what was applied."""
    return [f"{m.line} {m.number}" for m in migrate(database.url("admin"), lines)]


def test_each_file_is_applied_once(empty: Database, tmp_path: Path) -> None:
    """A login that is not a superuser sets up an empty database; a second run applies nothing."""
    sample = write_line(tmp_path / "a", "sample", SAMPLE)
    pending = [s for s in status(empty.url("admin"), [core(), sample]) if s.applied_on is None]
    assert apply(empty, core(), sample) == [f"{s.line} {s.number}" for s in pending]
    assert apply(empty, core(), sample) == []
    assert all(s.applied_on for s in status(empty.url("admin"), [core(), sample]))
    record = empty.ask(
        "SELECT line, number, name, length(sha256), applied_by FROM storekit.migration WHERE line = 'sample'"
    )
    assert record == [("sample", 1, "step", 32, "admin")]


def test_a_second_database_uses_the_existing_roles(empty: Database, cluster: str) -> None:
    """Roles belong to the cluster: the next empty uses the existing ones."""
    assert apply(empty, core())
    with fresh_database(cluster) as second:
        assert apply(second, core())


def test_a_superuser_may_migrate_and_owns_nothing(empty: Database, cluster: str) -> None:
    """Everything belongs to storekit_owner, whichever login applies the files."""
    with fresh_database(cluster) as first:
        assert apply(first, core())  # the admin makes the roles, which it needs in other databases too
    migrate(empty.url("postgres"), [core()])
    owners = (
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'storekit'::regnamespace"
    )
    assert empty.ask(owners) == [("storekit_owner",)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: (d / "0001_step.sql").write_text("SELECT 2"), "own 0001_step.sql was edited"),
        (
            lambda d: (d / "0001_step.sql").rename(d / "0001_leap.sql"),
            "own 0001_step.sql was renamed to leap",
        ),
        (lambda d: (d / "0002_step.sql").unlink(), "own 0002_step.sql is missing"),
        (lambda d: (d / "0001_step.sql").unlink(), "expected number 0001, found 0002_step.sql"),
        (lambda d: (d / "0004_step.sql").write_text(""), "expected number 0003, found 0004_step.sql"),
        (lambda d: (d / "notes.sql").write_text(""), "expected number 0003, found notes.sql"),
    ],
    ids=["edited", "renamed", "last missing", "first missing", "gap", "stray"],
)
def test_applied_files_must_not_change(database: Database, tmp_path: Path, change: object, says: str) -> None:
    """An edited, renamed or missing applied file, a gap or a bad name is an error before anything runs."""
    line = write_line(tmp_path / "own", "own", "SELECT 1", "SELECT 1")
    apply(database, core(), line)
    assert callable(change)
    change(tmp_path / "own")
    for refuse in (migrate, status):
        with pytest.raises(ConfigurationError, match=says):
            refuse(database.url("admin"), [core(), line])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("sha256 = 'x'", "was edited"),
        ("name = 'ledger'", "0001_ledger.sql was renamed to "),
        ("number = 9999", "9999_.*.sql is missing"),
    ],
    ids=["edited", "renamed", "missing"],
)
def test_a_database_of_an_unreleased_version_is_refused(database: Database, change: str, says: str) -> None:
    """If an applied file of storekit differs from its record, the error says to create a new database."""
    database.ask(f"UPDATE storekit.migration SET {change} WHERE line = 'core' AND number = 1")
    for refuse in (migrate, status):
        with pytest.raises(ConfigurationError, match=f"past migration core .*{says}.*create a new database"):
            refuse(database.url("admin"), [core()])


def test_line_endings_do_not_matter(database: Database, tmp_path: Path) -> None:
    """A file that was checked out with CRLF has the same checksum."""
    line = write_line(tmp_path / "own", "own", "SELECT 1;\nSELECT 2;\n")
    apply(database, core(), line)
    (tmp_path / "own" / "0001_step.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")
    assert apply(database, core(), line) == []


def test_a_failing_file_is_rolled_back(database: Database, tmp_path: Path) -> None:
    """A file is one transaction with its record; earlier files stay, and the error names the file."""
    line = write_line(tmp_path / "own", "own", "CREATE TABLE kept ()", "CREATE TABLE lost (); SELECT 1 / 0")
    with pytest.raises(
        ConfigurationError, match="own 0002_step.sql failed and was rolled back: division by zero"
    ):
        apply(database, core(), line)
    assert database.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("kept",)]
    write_line(tmp_path / "own", "own", "CREATE TABLE kept ()", "CREATE TABLE mended ()")
    assert apply(database, core(), line) == ["own 2"]


def test_deployers_wait_for_each_other(empty: Database, tmp_path: Path) -> None:
    """If eight deployers run at once, each file is applied once."""
    line = write_line(tmp_path / "own", "own", *(f"CREATE TABLE t{n} ()" for n in range(5)))
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: apply(empty, core(), line), range(8)))
    applied = [name for names in done for name in names]
    assert len(applied) == len(set(applied)) == len(status(empty.url("admin"), [core(), line]))


def test_a_backfill_under_force_row_level_security_fails(database: Database, tmp_path: Path) -> None:
    """A data migration that would see no rows fails unless it lifts FORCE; with it, it records events."""
    apply(database, write_line(tmp_path / "sample", "sample", SAMPLE))
    insert = "INSERT INTO jobs (tenant_id, title) SELECT storekit.new_id(), 'a'"
    database.ask(f"{insert} FROM generate_series(1, 3)")
    silent = write_line(tmp_path / "own", "own", "UPDATE jobs SET title = 'b'")
    with pytest.raises(ConfigurationError, match='row-level security policy for table "jobs"'):
        apply(database, silent)
    force = "ALTER TABLE jobs {} ROW LEVEL SECURITY;"
    text = f"{force.format('NO FORCE')} UPDATE jobs SET title = 'b'; {force.format('FORCE')}"
    apply(database, write_line(tmp_path / "own", "own", text))
    assert database.ask("SELECT title, version FROM jobs") == [("b", 2)] * 3
    assert database.ask(
        "SELECT actor, count(*) FROM storekit.event WHERE type LIKE '%.updated' GROUP BY 1"
    ) == [("admin", 3)]


def test_a_new_part_field_of_a_table_with_data(database: Database, tmp_path: Path) -> None:
    """The migration that adds a field calls manage() again; old rows do not change."""
    apply(database, write_line(tmp_path / "sample", "sample", SAMPLE))
    database.ask("INSERT INTO jobs (tenant_id, title) VALUES (gen_random_uuid(), 'a')")
    text = f"""
        ALTER TABLE jobs ADD COLUMN report_ref uuid {PARTS.replace(",", ", ADD COLUMN")};
        INSERT INTO storekit.field (table_name, field, kind) VALUES ('jobs', 'report', 'blob');
        SELECT storekit.manage('jobs');"""
    apply(database, write_line(tmp_path / "own", "own", text))
    keys = database.ask(
        "SELECT conname FROM pg_constraint"
        " WHERE conrelid = 'jobs'::regclass AND contype = 'f' AND convalidated"
    )
    assert keys == [("report_ref_live",)]
    assert database.ask("SELECT relforcerowsecurity FROM pg_class WHERE relname IN ('jobs', 'part')") == [
        (True,),
        (True,),
    ]


def test_a_table_with_invalid_refs_is_refused(database: Database, tmp_path: Path) -> None:
    """manage() refuses a table with refs to parts that do not exist."""
    text = f"""
        CREATE TABLE legacy ({BASE}, report_ref uuid {PARTS});
        INSERT INTO legacy (tenant_id, report_ref) VALUES (gen_random_uuid(), gen_random_uuid());
        INSERT INTO storekit.field (table_name, field, kind) VALUES ('legacy', 'report', 'blob');
        SELECT storekit.manage('legacy');"""
    with pytest.raises(ConfigurationError, match="report_ref_live"):
        apply(database, write_line(tmp_path / "own", "own", text))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            BASE.replace("version bigint NOT NULL DEFAULT 1,", ""),
            "ADD COLUMN version bigint NOT NULL DEFAULT 1",
        ),
        (
            BASE.replace('COLLATE "C" ', ""),
            'ADD COLUMN ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()',
        ),
        (BASE + ", updated_on timestamptz", "ADD COLUMN updated_by text"),
        (BASE + ", deleted_on timestamptz", "ADD COLUMN deleted_by text"),
        (BASE.replace("UNIQUE (tenant_id, ref_id)", "UNIQUE (ref_id)"), "ADD UNIQUE (tenant_id, ref_id)"),
        (BASE.replace("PRIMARY KEY (tenant_id, id)", "PRIMARY KEY (id)"), "ADD PRIMARY KEY (tenant_id, id)"),
        (BASE + ", body_ref uuid" + PARTS, "ADD COLUMN body_expired_on timestamp with time zone"),
        (
            BASE + ", body_ref uuid, body_expired_on timestamptz",
            "ADD COLUMN parts_live boolean NOT NULL GENERATED",
        ),
    ],
)
def test_manage_says_what_to_add(database: Database, tmp_path: Path, columns: str, says: str) -> None:
    """manage() refuses a table without a base column, key or part column, with the statement to run."""
    text = f"""
        CREATE TABLE odd ({columns});
        INSERT INTO storekit.field (table_name, field, kind, ttl, collection)
        SELECT 'odd', 'body', 'document', '1 day', 'bodies'
        WHERE '{columns.replace("'", "''")}' LIKE '%body%';
        SELECT storekit.manage('odd');"""
    with pytest.raises(ConfigurationError) as caught:
        apply(database, write_line(tmp_path / "own", "own", text))
    assert "ALTER TABLE public.odd " in str(caught.value)
    assert says in str(caught.value)


def test_manage_accepts_unusual_tables(database: Database, tmp_path: Path) -> None:
    """Keywords and variable names as columns, no column, and a second call of manage() are accepted."""
    fields = '"order" text, "select" int[], n text, r text, t jsonb, d date'
    ours = "p_rows text, v_done text, p_columns text[] DEFAULT '{a}'"
    text = f"""
        CREATE TABLE awkward ({BASE}{MUTABLE}, {fields}, {ours});
        CREATE TABLE bare ({BASE}{MUTABLE});
        SELECT storekit.manage('awkward'), storekit.manage('bare'), storekit.manage('awkward');"""
    apply(database, core(), write_line(tmp_path / "own", "own", text))
    grant(database.url("admin"), MEMBERS)
    row = {
        "order": "1",
        "select": [2],
        "n": "n",
        "r": "r",
        "t": {"a": 1},
        "d": "2026-01-01",
        "p_rows": "p",
        "v_done": None,
    }
    with database.connect() as connection:
        api = Api(connection)
        for table, content in (("awkward", row), ("bare", {})):
            op = insert_op(table, [content])
            api.commit(new_id(), [op])
            changed = {"ref_id": op["rows"][0]["ref_id"], **content, **({"n": "m"} if content else {})}
            api.commit(new_id(), [change_op("update", table, changed)])
    found = database.ask(
        'SELECT "order", "select", n, r, t, d::text, p_rows, v_done, p_columns, version FROM awkward'
    )
    assert found == [(*(row | {"n": "m"}).values(), ["a"], 2)]
    assert database.ask("SELECT after FROM storekit.event WHERE entity = 'awkward' AND version = 2") == [
        ({"n": "m"},)
    ]


def test_errors_name_the_server_and_hide_the_password(tmp_path: Path) -> None:
    """An unreachable server is Unavailable, an invalid URL a ConfigurationError; neither shows a secret."""
    with pytest.raises(Unavailable) as caught:
        migrate("postgresql://admin:hunter2@127.0.0.1:1/storekit", [core()])
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        migrate("postgresql:admin:hunter2", [core()])
    assert "hunter2" not in repr(refused.value)


def test_an_admin_without_rights_is_refused(empty: Database, tmp_path: Path) -> None:
    """A login that may not set up the schema gets a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="setting up roles and schema failed"):
        migrate(empty.url("app"), [core()])
    with pytest.raises(ConfigurationError, match="granting roles failed"):
        grant(empty.url("app"), {"storekit_owner": ["app"]})
