"""The mirror: the schema as files, one per object."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from storekit.cli import app
from storekit.cli.mirror import differences, renew
from storekit.drivers.postgres.admin.mirror import HEADER, read
from storekit.drivers.postgres.admin.runner import connect
from storekit.errors import ConfigurationError, UsageError
from tests.support.postgres import Database
from tests.support.shipped import MIRROR, mirrored

# The objects of the catalogue, by queries other than those of the mirror.
OBJECTS = """
WITH mine AS (SELECT oid FROM pg_roles WHERE rolname ~ '^storekit_')
SELECT relnamespace::regnamespace || CASE relkind WHEN 'v' THEN '/views/' ELSE '/tables/' END || relname
FROM pg_class JOIN mine ON mine.oid = relowner WHERE relkind IN ('r', 'v', 'm', 'p') AND NOT relispartition
UNION SELECT pronamespace::regnamespace || '/functions/' || proname
FROM pg_proc JOIN mine ON mine.oid = proowner
UNION SELECT typnamespace::regnamespace || '/types/' || typname
FROM pg_type JOIN mine ON mine.oid = typowner WHERE typtype = 'e'
UNION SELECT unnest('{public/schema,report/schema,storekit/schema}'::text[])
"""


def test_the_committed_mirror_is_up_to_date(reference: Database) -> None:
    """The committed mirror is what the migrations create, so that reviews show the effect of a change."""
    stale = differences(MIRROR, mirrored(reference))
    assert not stale, f"run `make mirror` and review what it changes: {', '.join(stale)}"


def test_every_object_has_one_file(reference: Database) -> None:
    """There is one file for each table, view, function and type, and no other file."""
    assert set(mirrored(reference)) == {f"{name}.sql" for (name,) in reference.ask(OBJECTS)}


@pytest.mark.parametrize(
    ("change", "file"),
    [
        ("ALTER TABLE storekit.write ADD note text", "storekit/tables/write"),
        ("ALTER TABLE storekit.write ALTER actor DROP NOT NULL", "storekit/tables/write"),
        ("ALTER TABLE storekit.write ALTER created_on DROP DEFAULT", "storekit/tables/write"),
        ("ALTER TABLE storekit.part DROP CONSTRAINT part_key", "storekit/tables/part"),
        ("DROP INDEX storekit.part_write", "storekit/tables/part"),
        ("ALTER TABLE tool_calls NO FORCE ROW LEVEL SECURITY", "public/tables/tool_calls"),
        ("ALTER TABLE tool_calls DISABLE ROW LEVEL SECURITY", "public/tables/tool_calls"),
        ("ALTER TABLE tool_calls ALTER tenant_id SET STATISTICS 100", "public/tables/tool_calls"),
        ("GRANT TRUNCATE ON tool_calls TO storekit_app", "public/tables/tool_calls"),
        ("GRANT UPDATE (version) ON tool_calls TO storekit_app", "public/tables/tool_calls"),
        ("COMMENT ON COLUMN tool_calls.name IS 'it''s a name'", "public/tables/tool_calls"),
        ("ALTER VIEW storekit.event SET (security_invoker = false)", "storekit/views/event"),
        ("ALTER FUNCTION storekit.commit_v1 SECURITY INVOKER", "storekit/functions/commit_v1"),
        ("ALTER FUNCTION storekit.commit_v1 RESET search_path", "storekit/functions/commit_v1"),
        ("ALTER FUNCTION storekit.commit_v1 OWNER TO storekit_reports", "storekit/functions/commit_v1"),
        ("GRANT EXECUTE ON FUNCTION storekit.touch() TO PUBLIC", "storekit/functions/touch"),
        ("SET ROLE storekit_owner; CREATE AGGREGATE storekit.chain(bytea)"
         " (SFUNC = byteacat, STYPE = bytea, INITCOND = '')", "storekit/functions/chain"),
        ("ALTER POLICY tenant ON tool_calls USING (true)", "public/tables/tool_calls"),
        ("DROP POLICY tenant ON tool_calls", "public/tables/tool_calls"),
        ("ALTER TABLE contracts DISABLE TRIGGER storekit_keep", "public/tables/contracts"),
        ("ALTER TRIGGER storekit_keep ON contracts RENAME TO kept", "public/tables/contracts"),
        ("CREATE TRIGGER instead INSTEAD OF DELETE ON storekit.event FOR EACH ROW"
         " EXECUTE FUNCTION storekit.refuse_move()", "storekit/views/event"),
        ("ALTER TYPE storekit.write_state RENAME VALUE 'aborted' TO 'gone'", "storekit/types/write_state"),
        ("SET ROLE storekit_owner; CREATE DOMAIN storekit.\"a/b\" AS text CHECK (VALUE <> '')",
         "storekit/types/a%2Fb"),
        ("GRANT CREATE ON SCHEMA storekit TO storekit_app", "storekit/schema"),
    ],
)  # fmt: skip
def test_a_change_appears_in_the_file_of_its_object(
    reference: Database, tmp_path: Path, change: str, file: str
) -> None:
    """A change of columns, constraints, flags, grants, owners or comments changes one file."""
    renew(tmp_path, mirrored(reference))
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute(change.encode())
        assert differences(tmp_path, read(connection)) == [f"{file}.sql"]
        connection.rollback()


def test_partitions_are_not_mirrored(reference: Database, tmp_path: Path) -> None:
    """Partitions that the running database creates are not a difference."""
    renew(tmp_path, mirrored(reference))
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute(
            "SET ROLE storekit_owner; CREATE TABLE storekit.domain_event_0002 PARTITION OF"
            " storekit.domain_event FOR VALUES FROM (10000001) TO (20000001)"
        )
        assert differences(tmp_path, read(connection)) == []
        connection.rollback()


def test_the_mirror_command(reference: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`schema mirror` writes changed files and deletes obsolete ones; `--check` lists both, exit code 1."""
    monkeypatch.setenv("POSTGRES_ADMIN_URL", reference.url("admin"))
    out = tmp_path / "mirror"
    command = ["schema", "mirror", "--out", str(out)]
    assert CliRunner().invoke(app, [*command, "--check"]).exit_code == 1
    assert not out.exists()
    assert CliRunner().invoke(app, command).exit_code == 0
    assert CliRunner().invoke(app, [*command, "--check"]).exit_code == 0

    edited, vanished = out / "storekit" / "tables" / "write.sql", out / "storekit" / "tables" / "old.sql"
    edited.write_text(edited.read_text().replace("bytea", "text"))
    vanished.write_text(f"{HEADER}\n\nCREATE TABLE storekit.old ();\n")
    checked = CliRunner().invoke(app, [*command, "--check"])
    assert checked.exit_code == 1
    assert checked.stdout == f"{vanished} differs from the database\n{edited} differs from the database\n"
    assert CliRunner().invoke(app, command).stdout.endswith("files, 2 changed\n")
    assert not vanished.exists()
    assert CliRunner().invoke(app, [*command, "--check"]).exit_code == 0


def test_a_directory_with_other_sql_is_refused(reference: Database, tmp_path: Path) -> None:
    """A wrong --out deletes no files."""
    (mine := tmp_path / "0001_mine.sql").write_text("SELECT 1;\n")
    with pytest.raises(UsageError, match="0001_mine.sql was not written by the mirror"):
        renew(tmp_path, mirrored(reference))
    assert [*tmp_path.iterdir()] == [mine]


def test_a_database_without_storekit_is_an_error(cluster: str) -> None:
    """The mirror of a database without storekit is an error that says what to run."""
    with connect(cluster) as connection, pytest.raises(ConfigurationError, match="run storekit migrate"):
        read(connection)
