"""What a migration file may do, with and without a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storekit.drivers.postgres.admin.runner import migrate
from storekit.errors import ConfigurationError
from storekit.schema.lines import Line
from storekit.schema.lint import lint
from tests.support.postgres import SAMPLE, Database, sample_database, write_line

MARK = "-- storekit: no transaction\n"


@pytest.fixture
def database(cluster: str, tmp_path: Path) -> Iterator[Database]:
    with sample_database(cluster, tmp_path) as made:
        yield made


def own(directory: Path, *texts: str) -> Line:
    return write_line(directory / "own", "own", *texts)


def apply(database: Database, line: Line) -> list[int]:
    """Apply a line as the admin and return the numbers that were applied."""
    return [migration.number for migration in migrate(database.url("admin"), [line])]


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS by_model ON readings (tenant_id, model);",
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_model'::regclass",
        ),
        (
            'create index concurrently if not exists "By Total" /* odd */ on billing."invoices" (total)',
            """SELECT indisvalid FROM pg_index WHERE indexrelid = 'billing."By Total"'::regclass""",
        ),
        ("VACUUM readings", "SELECT true"),
        (
            "ALTER TYPE task_status ADD VALUE IF NOT EXISTS 'lost'",
            "SELECT true FROM pg_enum WHERE enumlabel = 'lost'",
        ),
        (
            "DROP INDEX CONCURRENTLY IF EXISTS jobs_tenant_id_title_idx",
            "SELECT to_regclass('jobs_tenant_id_title_idx') IS NULL",
        ),
        (
            "CREATE TABLE IF NOT EXISTS made ()",
            "SELECT relowner = 'storekit_owner'::regrole FROM pg_class WHERE relname = 'made'",
        ),
    ],
)
def test_a_marked_file_runs_without_a_transaction(
    database: Database, tmp_path: Path, text: str, ask: str
) -> None:
    """A file with the marker in its first line runs outside a transaction, as the owner, and is recorded."""
    line = own(tmp_path, MARK + text, "CREATE TABLE after ()")
    assert apply(database, line) == [1, 2]
    assert database.ask(ask) == [(True,)]
    assert apply(database, line) == []


def test_a_marked_file_has_one_statement(database: Database, tmp_path: Path) -> None:
    """A marked file with several statements is refused."""
    line = own(tmp_path, f"{MARK}CREATE TABLE one (); CREATE TABLE two ();")
    with pytest.raises(ConfigurationError, match=r"not recorded.*cannot insert multiple commands"):
        apply(database, line)
    assert database.ask("SELECT to_regclass('one')::text") == [(None,)]


def test_if_not_exists_checks_the_index(database: Database, tmp_path: Path) -> None:
    """IF NOT EXISTS matches any relation; only a valid index of the table counts as done."""
    line = own(
        tmp_path,
        "CREATE TABLE by_model ()",
        f"{MARK}CREATE INDEX CONCURRENTLY IF NOT EXISTS by_model ON readings (tenant_id, model)",
    )
    with pytest.raises(ConfigurationError, match="0002_step.sql did not create index by_model on readings"):
        apply(database, line)


def test_a_new_enum_value_can_be_used_in_the_next_file(database: Database, tmp_path: Path) -> None:
    """Using a new label in the same file is an error of the file, not of the server."""
    add = "ALTER TYPE task_status ADD VALUE 'lost';"
    use = "ALTER TABLE tasks ALTER COLUMN status SET DEFAULT 'lost'"
    with pytest.raises(ConfigurationError, match='unsafe use of new value "lost"'):
        apply(database, own(tmp_path, f"{add} {use}"))
    assert apply(database, own(tmp_path, add, use)) == [1, 2]


def test_a_file_cannot_end_its_transaction(database: Database, tmp_path: Path) -> None:
    """A file with COMMIT is refused before it runs, because its record would be lost."""
    text = "CREATE TABLE lost ();\n-- COMMIT;\nCOMMIT; CREATE TABLE lost_too ()"
    with pytest.raises(ConfigurationError, match=r"own 0001_step.sql: line 3 ends the transaction"):
        apply(database, own(tmp_path, text))
    assert database.ask("SELECT to_regclass('lost')::text") == [(None,)]
    assert apply(database, own(tmp_path, "SAVEPOINT a; ROLLBACK TO SAVEPOINT a")) == [1]


def test_a_file_must_restore_force_row_level_security(database: Database, tmp_path: Path) -> None:
    """A file that lifts FORCE ROW LEVEL SECURITY and does not set it again is rolled back."""
    text = "ALTER TABLE readings NO FORCE ROW LEVEL SECURITY"
    with pytest.raises(ConfigurationError, match="leaves public.readings without FORCE ROW LEVEL SECURITY"):
        apply(database, own(tmp_path, text))
    assert database.ask("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'readings'") == [(True,)]
    assert apply(database, own(tmp_path, f"{text}; {text.replace('NO ', '')}")) == [1]


@pytest.mark.parametrize("text", ["VACUUM readings", "CREATE INDEX CONCURRENTLY i ON readings (model)"])
def test_a_statement_that_needs_its_own_file(database: Database, tmp_path: Path, text: str) -> None:
    """A statement that cannot run in a transaction is refused with the first line that its file must have."""
    with pytest.raises(
        ConfigurationError, match=f"failed and was rolled back: .*; write it .*{MARK.strip()}"
    ):
        apply(database, own(tmp_path, text))


def test_a_file_without_a_transaction_has_one_statement(database: Database, tmp_path: Path) -> None:
    """A second statement in a file without a transaction is refused, and neither is executed."""
    with pytest.raises(ConfigurationError, match="was not recorded"):
        apply(database, own(tmp_path, f"{MARK}CREATE TABLE one (); CREATE TABLE two ()"))
    assert database.ask("SELECT to_regclass('public.one')::text") == [(None,)]


def test_settings_end_with_their_file(database: Database, tmp_path: Path) -> None:
    """No setting outlives its file, so one run and several runs have the same effect."""
    text = "SET search_path = billing; SET SESSION storekit.actor = 'ghost'; RESET ROLE"
    look = "CREATE TABLE seen AS SELECT current_user::text AS who, storekit.current_actor() AS actor"
    assert apply(database, own(tmp_path, text, look)) == [1, 2]
    assert database.ask("SELECT * FROM public.seen") == [("storekit_owner", "admin")]


FORCE = "ALTER TABLE {} FORCE ROW LEVEL SECURITY;"
KEY = [
    """ALTER TABLE readings ADD COLUMN run_id uuid;
    ALTER TABLE readings ADD CONSTRAINT run FOREIGN KEY (tenant_id, run_id)
        REFERENCES jobs (tenant_id, id) NOT VALID;
    SELECT storekit.manage('readings');""",
    f"""{FORCE.format("readings NO")} {FORCE.format("jobs NO")}
    ALTER TABLE readings VALIDATE CONSTRAINT run;
    {FORCE.format("readings")} {FORCE.format("jobs")}""",
]
UNIQUE = [
    f"{MARK}CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS model ON readings (tenant_id, model);",
    "ALTER TABLE readings ADD CONSTRAINT model UNIQUE USING INDEX model;",
]
NOT_NULL = [
    "ALTER TABLE readings ADD CONSTRAINT counted CHECK (tokens IS NOT NULL) NOT VALID;",
    "ALTER TABLE readings VALIDATE CONSTRAINT counted;",
    """-- counted is its proof
    -- squawk-ignore adding-not-nullable-field
    ALTER TABLE readings ALTER tokens SET NOT NULL, DROP CONSTRAINT counted;
    SELECT storekit.manage('readings');""",
]


@pytest.mark.parametrize("texts", [KEY, UNIQUE, NOT_NULL], ids=["key", "unique", "not null"])
def test_the_linters_advice_works(database: Database, tmp_path: Path, texts: list[str]) -> None:
    """The recommended alternative to an unsafe statement has no finding and works under FORCE, with rows."""
    database.ask("INSERT INTO readings (tenant_id, model, tokens) SELECT storekit.new_id(), 'a', 1")
    assert lint([SAMPLE, *texts])[1:] == [[] for _ in texts]
    assert apply(database, own(tmp_path, *texts)) == [number for number, _ in enumerate(texts, 1)]
    assert database.ask("SELECT conname FROM pg_constraint WHERE NOT convalidated") == []


def test_a_foreign_key_over_invalid_rows(database: Database, tmp_path: Path) -> None:
    """Validating a key under FORCE is an error with the remedy; without FORCE it finds the invalid row."""
    bad = "UPDATE readings SET run_id = storekit.new_id()"
    row = "INSERT INTO readings (tenant_id, model) SELECT storekit.new_id(), 'a';"
    apply(database, own(tmp_path, KEY[0]))
    database.ask(
        f"ALTER TABLE readings DISABLE TRIGGER ALL; {row} {bad}; ALTER TABLE readings ENABLE TRIGGER ALL"
    )
    blind = "ALTER TABLE readings VALIDATE CONSTRAINT run"
    refusal = "affected by row-level security policy .*; .* use ALTER TABLE NO FORCE ROW LEVEL SECURITY"
    with pytest.raises(ConfigurationError, match=refusal):
        apply(database, own(tmp_path, KEY[0], blind))
    with pytest.raises(ConfigurationError, match='violates foreign key constraint "run"'):
        apply(database, own(tmp_path, *KEY))
