"""General rules for migrations, which squawk checks with the settings of this repository."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from storekit.schema.diff import files, missing
from tests.unit.class_facts import Grown, Invoice, Note, compare, table

ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "schemas/postgres/migrations"
NOT_VALID, UNIQUE = "constraint-missing-not-valid", "disallowed-unique-constraint"

UNSAFE = {
    "CREATE INDEX ON notes (title)": {"require-concurrent-index-creation"},
    'CREATE UNIQUE INDEX IF NOT EXISTS i ON ONLY "public"."notes" (t)': {"require-concurrent-index-creation"},
    "DROP INDEX by_title": {"require-concurrent-index-deletion"},
    "REINDEX TABLE notes": {"require-concurrent-reindex"},
    "ALTER TABLE notes ADD CONSTRAINT one UNIQUE (title)": {NOT_VALID, UNIQUE},
    "ALTER TABLE notes ADD PRIMARY KEY (title)": {NOT_VALID, "adding-serial-primary-key-field"},
    "ALTER TABLE notes ADD COLUMN number bigint UNIQUE": {UNIQUE},
    "ALTER TABLE notes ADD COLUMN number bigint NOT NULL": {"adding-required-field"},
    "ALTER TABLE notes ALTER title SET NOT NULL": {"adding-not-nullable-field"},
    "ALTER TABLE notes ADD CONSTRAINT there NOT NULL title": {NOT_VALID},
    "ALTER TABLE notes ALTER title SET DATA TYPE citext": {"changing-column-type"},
    "ALTER TABLE notes ADD CHECK (title <> '')": {NOT_VALID},
    "ALTER TABLE notes ADD n uuid REFERENCES other (id)": {"adding-foreign-key-constraint"},
    "DROP TABLE IF EXISTS notes CASCADE": {"ban-drop-table"},
    "ALTER TABLE notes DROP title": {"ban-drop-column"},
    "DROP VIEW notes_v": {"ban-drop-view"},
    "DROP FUNCTION storekit.commit_v1(uuid)": {"ban-drop-function"},
    "DROP TRIGGER storekit_update ON notes": {"ban-drop-trigger"},
    "DROP POLICY tenant ON notes": {"ban-drop-policy"},
    "DROP TYPE mood": {"ban-drop-type"},
    "ALTER TABLE notes RENAME TO simple": {"renaming-table"},
    "ALTER TABLE notes RENAME title TO name": {"renaming-column"},
    "ALTER TABLE notes SET SCHEMA old": {"ban-set-schema"},
    "ALTER TYPE mood RENAME VALUE 'a' TO 'b'": {"renaming-object"},
    "CREATE TABLE t (); COMMIT": {"transaction-nesting"},
    "ROLLBACK": {"transaction-nesting"},
}
SAFE = [
    "CREATE TABLE t (a bigint NOT NULL); CREATE INDEX ON t (a); ALTER TABLE t ADD b text NOT NULL DEFAULT ''",
    "-- storekit: no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON notes (title);",
    "ALTER TABLE notes ADD COLUMN number bigint NOT NULL DEFAULT 0",
    "ALTER TABLE notes ADD CONSTRAINT there CHECK (title IS NOT NULL) NOT VALID",
    "ALTER TABLE notes VALIDATE CONSTRAINT there",
    "ALTER TABLE notes ADD CONSTRAINT one UNIQUE USING INDEX by_title",
    "ALTER TABLE notes ALTER title DROP NOT NULL, DROP CONSTRAINT there",
]


def squawk(*paths: Path) -> dict[str, set[str]]:
    """Run squawk as `make lint` does, and return the rules with findings by file name."""
    command: list[str | Path] = [
        Path(sys.executable).parent / "squawk",
        "--config",
        ROOT / ".squawk.toml",
        "--reporter",
        "json",
    ]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    found = defaultdict[str, set[str]](set)
    for finding in json.loads(done.stdout):
        found[Path(finding["file"]).name].add(finding["rule_name"])
    return found


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Write each statement to its own file, and return the rules with findings by statement."""
    directory = tmp_path_factory.mktemp("squawk")
    texts = {f"{number:04}.sql": text for number, text in enumerate([*UNSAFE, *SAFE])}
    for name, text in texts.items():
        (directory / name).write_text(f"{text.rstrip(';')};\n")
    found = squawk(*sorted(directory.iterdir()))
    return {text: found.get(name, set()) for name, text in texts.items()}


@pytest.mark.parametrize("text", UNSAFE)
def test_squawk_reports_an_unsafe_statement(reported: dict[str, set[str]], text: str) -> None:
    """squawk finds each general fault that `storekit migrate lint` leaves to it."""
    assert reported[text] == UNSAFE[text]


@pytest.mark.parametrize("text", SAFE)
def test_squawk_accepts_the_safe_form(reported: dict[str, set[str]], text: str) -> None:
    """squawk has no finding for the statements that the documentation recommends."""
    assert reported[text] == set()


def test_the_shipped_migrations_pass_squawk() -> None:
    """Each finding of squawk in storekit's migrations is ignored in place, with the reason."""
    assert squawk(*sorted(MIGRATIONS.rglob("*.sql"))) == {}


@pytest.mark.parametrize("in_use", [True, False])
def test_the_files_of_schema_diff_pass_squawk(tmp_path: Path, *, in_use: bool) -> None:
    """The additions that `storekit schema diff` writes need no further squawk-ignore comment."""
    found = [missing(Invoice), *compare(Grown, table(Note, empty=not in_use))]
    for file in files(found, in_use=in_use):
        (tmp_path / f"{file.stem}.sql").write_text(file.text)
    assert squawk(*tmp_path.iterdir()) == {}
