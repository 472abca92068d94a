"""`storekit schema diff` and `check` as a user runs them, from a class to a saved record."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storekit.drivers.postgres.admin.runner import grant
from tests.support.commands import storekit_command
from tests.support.postgres import MEMBERS, Database, fresh_database

MODELS = """
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from storekit import Entity, Mutable, index, moves, references, unique
from storekit.agency import Tenant


class LeadStatus(StrEnum):
    RAW = "raw"
    READY = "ready"


class Campaign(Entity, table="campaigns"):
    tenant_ref: Annotated[UUID, references(Tenant)]
    name: str


class Lead(Entity, Mutable, table="leads", indexes=[unique("email"), index("status", "-created_on")]):
    email: str
    status: Annotated[LeadStatus, moves({LeadStatus.RAW: [LeadStatus.READY]})] = LeadStatus.RAW
"""

SAVE = """
from uuid import UUID
from myapp.models import Lead, LeadStatus
from storekit import InvalidTransition, Store

with Store.open() as store:
    leads = store.scope(tenant=UUID(int=1), actor="test").repository(Lead)
    lead = leads.save(Lead(email="a@b.example"))
    assert leads.transition(lead.ref_id, LeadStatus.READY).status is LeadStatus.READY
    try:
        leads.transition(lead.ref_id, LeadStatus.RAW)
    except InvalidTransition as error:
        print(error)
"""


@dataclass(frozen=True)
class Shell:
    """A user's project with a database of its own."""

    database: Database
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process, with only the URLs of the project's stores."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("POSTGRES", "MONGO", "S3_"))
        }
        urls = {"POSTGRES_ADMIN_URL": self.database.url("admin"), "POSTGRES_URL": self.database.url("app")}
        return kept | urls

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program in the project; return its exit code and output."""
        done = subprocess.run(
            [sys.executable, *command],
            check=False, capture_output=True, text=True, cwd=self.home, env=self.environment, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def storekit(self, *arguments: str) -> tuple[int, str]:
        """Run a storekit command."""
        done = storekit_command(*arguments, environment=self.environment, home=self.home)
        return done.returncode, done.stdout + done.stderr

    @property
    def models(self) -> Path:
        """Return the path of the module with the classes."""
        return self.home / "myapp" / "models.py"

    @property
    def files(self) -> list[str]:
        """Return the names of the migrations."""
        return [path.name for path in sorted((self.home / "migrations").iterdir())]


MIGRATE = ("migrate", "--line", "agency", "--line", "app=migrations")
DIFF, CHECK = ("schema", "diff", "myapp.models"), ("schema", "check", "myapp.models")


@pytest.fixture
def shell(cluster: str, tmp_path: Path) -> Iterator[Shell]:
    """Create a project with two classes and no migration."""
    with fresh_database(cluster) as database:
        made = Shell(database, tmp_path)
        for directory in ("migrations", "myapp"):
            (tmp_path / directory).mkdir()
        made.models.write_text(MODELS)
        yield made


def test_from_a_new_class_to_a_saved_record(shell: Shell) -> None:
    """After migrate, diff, migrate the class can be saved, check succeeds and diff finds nothing."""
    assert shell.storekit(*MIGRATE)[0] == 0
    assert shell.storekit(*DIFF) == (0, "migrations/0001_campaigns_leads.sql\n")
    assert shell.storekit(*CHECK) == (1, "migration app 0001_campaigns_leads.sql is pending\n"
        "public.campaigns: the table is missing\npublic.leads: the table is missing\n")  # fmt: skip
    assert shell.storekit(*MIGRATE)[0] == 0
    grant(shell.database.url("admin"), MEMBERS)
    assert shell.storekit(*CHECK) == (0, "no differences\n")
    assert shell.storekit(*DIFF) == (0, "no differences\n")
    (shell.home / "save.py").write_text(SAVE)
    code, said = shell.run("save.py")
    assert code == 0, said
    assert "cannot change from ready to raw" in said


def test_additions_are_found_written_and_applied(shell: Shell) -> None:
    """Check lists each difference and exits with 1; diff writes them, with each index in its own file."""
    for command in (MIGRATE, DIFF, MIGRATE):
        assert shell.storekit(*command)[0] == 0
    grown = MODELS.replace('    RAW = "raw"', '    RAW = "raw"\n    DEAD = "dead"').replace(
        '"-created_on")]', '"-created_on"), index("score")]'
    )
    shell.models.write_text(grown + "    score: int = 0\n")
    assert shell.storekit(*CHECK) == (
        1,
        "public.leads: column status does not accept 'dead'\n"
        "public.leads: column score is missing\n"
        "public.leads: index (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'dead' is missing\n"
        "public.leads: index (tenant_id, score, ref_id) is missing\n",
    )
    code, said = shell.storekit(*DIFF)
    assert (code, said.split()) == (0, [f"migrations/{name}" for name in shell.files[1:]])
    assert shell.files[1:3] == ["0002_leads_labels.sql", "0003_leads.sql"]
    assert [name[:-12] for name in shell.files[3:]] == ["0004_leads_created_on_ix_", "0005_leads_score_ix_"]
    assert shell.storekit("migrate", "lint", "--line", "app=migrations")[0] == 0
    assert shell.storekit(*MIGRATE)[0] == 0
    assert shell.storekit(*CHECK) == (0, "no differences\n")


def test_a_decision_blocks_migrate_until_it_is_made(shell: Shell) -> None:
    """Diff reports it, lint finds it, migrate refuses its file; once it is SQL, migrate applies it."""
    for command in (MIGRATE, DIFF, MIGRATE):
        assert shell.storekit(*command)[0] == 0
    # Of another size: Python takes a file of the same second and size for the one that it has compiled.
    shell.models.write_text(MODELS.replace("    name: str", "    name: int  # before: str"))
    what, path = "public.campaigns: column name is text, not bigint", "migrations/0002_campaigns.sql"
    assert shell.storekit(*DIFF) == (0, f"{path}\n{what}: decide in {path}\n")
    code, said = shell.storekit("migrate", "lint", "--line", "agency")
    assert (code, len(said.splitlines())) == (1, 1)
    assert said.startswith("app 0002_campaigns.sql, line 1: undecided: ")
    code, said = shell.storekit(*MIGRATE)
    assert code == 1
    assert said.startswith("storekit: migration app 0002_campaigns.sql, line 1: undecided: ")
    file = shell.home / path
    heading, *sql = file.read_text().splitlines()
    assert heading == f"-- storekit: decide: {what}"
    file.write_text("\n".join(line.removeprefix("-- ") for line in sql))
    assert shell.storekit(*MIGRATE) == (0, "applied app 0002_campaigns.sql\nthe stores are up to date\n")
    assert shell.storekit(*CHECK) == (0, "no differences\n")


def test_diff_creates_the_directory(shell: Shell) -> None:
    """Diff creates the directory of the line, and reports a single pending migration in the singular."""
    assert shell.storekit("migrate", "--line", "agency")[0] == 0
    (shell.home / "migrations").rmdir()
    path = "db/lines/0001_campaigns_leads.sql"
    diff = (*DIFF, "--line", "app=db/lines")
    assert shell.storekit(*diff) == (0, f"{path}\n")
    assert (shell.home / path).exists()
    code, said = shell.storekit(*diff)
    assert code == 1
    assert said.startswith("storekit: 1 migration is pending, first app 0001_campaigns_leads.sql; run ")


def test_check_reports_missing_isolation(shell: Shell) -> None:
    """Check names a grant that breaks tenant isolation, and exits with 1."""
    for command in (MIGRATE, DIFF, MIGRATE):
        assert shell.storekit(*command)[0] == 0
    shell.database.ask("GRANT TRUNCATE ON leads TO storekit_app")
    code, said = shell.storekit(*CHECK)
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "TRUNCATE" in said


def test_pending_and_edited_migrations_are_reported(shell: Shell) -> None:
    """Diff refuses to write while migrations are pending; check names pending and edited files."""
    code, said = shell.storekit(*DIFF)
    assert code == 1
    assert (
        "migrations are pending, first core 0001_clock_and_ids.sql; run storekit migrate --line agency"
        in said
    )
    code, said = shell.storekit(*CHECK)
    assert code == 1
    assert said.splitlines()[0] == "migration core 0001_clock_and_ids.sql is pending"
    for command in (MIGRATE, DIFF, MIGRATE):
        assert shell.storekit(*command)[0] == 0
    with (shell.home / "migrations" / shell.files[0]).open("a") as file:
        file.write("-- edited\n")
    code, said = shell.storekit(*CHECK)
    assert code == 1
    assert said.startswith("past migration app 0001_campaigns_leads.sql was edited; ")
    assert len(said.splitlines()) == 1
    assert shell.storekit(*DIFF)[0] == 1


def test_diff_lists_a_column_that_the_class_no_longer_declares(shell: Shell) -> None:
    """A renamed column is reported each time; a required new column is never live SQL."""
    for command in (MIGRATE, DIFF, MIGRATE):
        assert shell.storekit(*command)[0] == 0
    shell.models.write_text(MODELS.replace("    name: str", "    name: str\n    note: str | None = None"))
    assert shell.storekit(*DIFF)[0] == shell.storekit(*MIGRATE)[0] == 0
    shell.models.write_text(
        MODELS.replace("    name: str", "    name: str\n    memo: str | None = None\n    code: int")
    )
    path, kept = "migrations/0003_campaigns.sql", "public.campaigns: column note is not declared; it may stay"
    required = "column code is missing; it is required, so choose the value for the rows that exist"
    assert shell.storekit(*DIFF) == (
        0,
        f"{path}\npublic.campaigns: {required}: decide in {path}\n"
        f"{kept}; the SQL that renames or drops it is in {path}\n",
    )
    text = (shell.home / path).read_text()
    assert "RENAME COLUMN note TO memo" in text
    assert not any("code" in line for line in text.splitlines() if not line.startswith("--"))
    (shell.home / path).write_text(text.replace("-- storekit: decide: ", "-- ", 1))
    assert shell.storekit(*MIGRATE)[0] == 0
    shell.models.write_text(MODELS.replace("    name: str", "    name: str\n    memo: str | None = None"))
    assert shell.storekit(*DIFF) == (0, f"{kept}\n")


REFUSED = {
    "a path": ("schema", "check", "./myapp/models.py"),
    "a file": ("schema", "diff", "myapp/models.py"),
    "no module": ("schema", "check", "myapp.nothing"),
    "a module without classes": ("schema", "check", "json"),
    "no directory": ("schema", "check", "myapp.models", "--line", "app=nowhere"),
    "a line of storekit": ("schema", "diff", "myapp.models", "--line", "core=migrations"),
    "two classes of one table": ("schema", "check", "twice"),
}


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_module_or_line_is_one_line(shell: Shell, command: tuple[str, ...]) -> None:
    """An invalid module or line is refused by name, in one line."""
    again = MODELS + '\n\nclass Other(Entity, table="leads"):\n    name: str\n'
    (shell.home / "twice.py").write_text(again)
    code, said = shell.storekit(*command)
    assert code == 1
    assert said.startswith("storekit: ")
    assert len(said.splitlines()) == 1
    if command[-1].endswith(".py"):
        assert said.endswith("is a path; pass the name of the module, as for python -m: myapp.models\n")
