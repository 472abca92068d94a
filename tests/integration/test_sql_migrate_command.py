"""`storekit migrate`, `migrate status` and `migrate lint`, as a deployer runs them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from storekit import AsyncStore, Settings, Store, UsageError
from storekit.drivers.postgres.admin.runner import migrate as apply
from storekit.schema.lines import core, read, shipped
from tests.integration.deployer import storekit
from tests.support.postgres import Database, fresh_database, write_line

SHIPPED = [f"{file.line} {file.number:04}_{file.name}" for file in read([core(), shipped("agency")])]
AGENCY = ("--line", "agency")
CLOCK = "CREATE TABLE notes ();\nSELECT now();"


@pytest.fixture
def database(cluster: str) -> Iterator[Database]:
    with fresh_database(cluster) as fresh:
        yield fresh


def shown(database: Database, *arguments: str | Path, home: str | Path = "/") -> list[str]:
    """Run a command that succeeds and return its lines."""
    done = storekit(database, *arguments, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def refused(database: Database, *arguments: str | Path) -> str:
    """Run a command that fails and return the line of its error."""
    done = storekit(database, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    return done.stderr


def objects(database: Database) -> int:
    """Count all objects of a database."""
    return int(database.ask("SELECT count(*) FROM pg_class")[0][0])


def test_a_dry_run_changes_nothing(database: Database, tmp_path: Path) -> None:
    """--dry-run lists pending files in order, with the linter's findings, and changes nothing."""
    write_line(tmp_path / "own", "own", "CREATE TABLE kept ()", CLOCK)
    before = objects(database)
    lines = shown(database, "migrate", "--dry-run", *AGENCY, "--line", f"own={tmp_path / 'own'}")
    applied = [f"would apply {name}.sql" for name in SHIPPED]
    assert lines[: len(applied) + 2] == [
        *applied,
        "would apply own 0001_step.sql",
        "would apply own 0002_step.sql",
    ]
    assert lines[-2].startswith("    line 2: clock: tests set the clock of storekit")
    assert lines[-1] == f"{len(applied) + 2} to apply; nothing was changed"
    assert objects(database) == before
    shown(database, "migrate", *AGENCY, "--line", f"own={tmp_path / 'own'}")
    lines = shown(database, "migrate", "--dry-run", *AGENCY, "--line", f"own={tmp_path / 'own'}")
    assert lines == ["0 to apply; nothing was changed"]


def test_status(database: Database, tmp_path: Path) -> None:
    """`migrate status` shows each migration of each line with time and login, and takes only --line."""
    own = f"own={tmp_path / 'own'}"
    write_line(tmp_path / "own", "own", "CREATE TABLE kept ()")
    before = objects(database)
    pending = [line.split() for line in shown(database, "migrate", "status", *AGENCY, "--line", own)]
    assert pending == [[*name.split(), "pending"] for name in [*SHIPPED, "own 0001_step"]]
    assert objects(database) == before
    shown(database, "migrate", *AGENCY, "--line", own)
    write_line(tmp_path / "own", "own", "CREATE TABLE kept ()", "CREATE TABLE next ()")
    *applied, last = shown(database, "migrate", *AGENCY, "--line", own, "status")
    when = r" +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0000 by admin"
    for name, line in zip([*SHIPPED, "own 0001_step"], applied, strict=True):
        assert re.fullmatch(re.escape(name).replace(r"\ ", " +") + when, line), line
    assert last.split() == ["own", "0002_step", "pending"]
    # a recorded line is shown even if it is not named
    assert shown(database, "migrate", "status")[-1].split()[:2] == ["own", "0001_step"]


def test_to_stops_after_a_file(database: Database, tmp_path: Path) -> None:
    """--to N stops after file N of the last named line, --to NAME=N after file N of another line."""
    write_line(tmp_path / "own", "own", *(f"CREATE TABLE t{number} ()" for number in range(1, 5)))
    own = ("migrate", *AGENCY, "--line", f"own={tmp_path / 'own'}")
    shown(database, *own, "--to", "agency=2")
    agency = "SELECT max(number) FROM storekit.migration WHERE line = %s"
    assert database.ask(agency, "agency") == [(2,)]
    assert database.ask(agency, "own") == [(None,)]
    assert shown(database, *own, "--to", "2")[-3:] == [
        "applied own 0001_step.sql",
        "applied own 0002_step.sql",
        "the stores are up to date as of own 0002",
    ]
    assert database.ask(agency, "own") == [(2,)]
    assert shown(database, *own, "--to", "2", "--dry-run") == ["0 to apply; nothing was changed"]
    lines = shown(database, *own, "--to", "3", "--dry-run")
    assert lines == ["would apply own 0003_step.sql", "1 to apply; nothing was changed"]
    assert "line own is at 0002, past 0001" in refused(database, *own, "--to", "1")
    assert "migration own 0009 does not exist; the line has 4" in refused(database, *own, "--to", "9")
    assert "migration other 0001 does not exist" in refused(database, *own, "--to", "other=1")
    for unclear in ("x", "own=", "own=x"):
        assert "it must be N (a number of the last --line) or NAME=N" in refused(
            database, *own, "--to", unclear
        )
    assert "it must be N (a number of the last --line" in refused(database, "migrate", *AGENCY, "--to", "x")
    assert database.ask(agency, "own") == [(2,)]


def test_to_applies_to_the_last_line(database: Database, tmp_path: Path) -> None:
    """With two lines, --to N applies to the second; a line that is named twice is refused."""
    for name in ("one", "two"):
        write_line(tmp_path / name, name, f"CREATE TABLE {name}_1 ()", f"CREATE TABLE {name}_2 ()")
    lines = [part for name in ("one", "two") for part in ("--line", f"{name}={tmp_path / name}")]
    shown(database, "migrate", *lines, "--to", "1")
    record = "SELECT line, number FROM storekit.migration WHERE line IN ('one', 'two') ORDER BY 1, 2"
    assert database.ask(record) == [("one", 1), ("one", 2), ("two", 1)]
    twice = refused(database, "migrate", "--dry-run", *lines, "--line", f"one={tmp_path / 'two'}")
    assert "two lines of migrations are named one" in twice


def test_the_directory_migrations_is_the_default_line(database: Database, tmp_path: Path) -> None:
    """Without --line, ./migrations is the line `app`, also after agency."""
    write_line(tmp_path / "migrations", "app", "CREATE TABLE kept ()", "CREATE TABLE more ()")
    write_line(tmp_path / "own", "own", "CREATE TABLE mine ()")

    def run(*arguments: str) -> list[str]:
        return shown(database, *arguments, home=tmp_path)

    core_files = [f"{file}" for file in read([core()])]
    first = SHIPPED[len(core_files)]
    pending = [f"would apply {name}" for name in [*core_files, "app 0001_step.sql", "app 0002_step.sql"]]
    assert run("migrate", "--dry-run")[:-1] == pending
    assert run("migrate", "lint") == [f"{len(pending)} migrations checked, no issues found"]
    assert run("migrate", "--dry-run", "--to", "1")[-2] == "would apply app 0001_step.sql"
    assert run("migrate", "--dry-run", *AGENCY)[-3:-1] == pending[-2:]
    assert run("migrate", "--dry-run", *AGENCY, "--to", "1")[-2] == f"would apply {first}.sql"
    assert run("migrate", "--dry-run", "--line", "own=own")[-2] == "would apply own 0001_step.sql"
    assert run("migrate", "status")[-1].split() == ["app", "0002_step", "pending"]
    assert run("migrate", "status", "--line", "own=own")[-1].split() == ["own", "0001_step", "pending"]
    applied = [line.replace("would apply", "applied") for line in pending]
    assert run("migrate") == [*applied, "the stores are up to date"]
    assert run("migrate") == ["the stores are up to date"]


def test_a_file_with_an_undecided_comment_is_refused(database: Database, tmp_path: Path) -> None:
    """A pending file with an undecided comment is refused by name and line before anything runs."""
    comment = "-- storekit: decide: public.kept: column n is text, not bigint\n-- ALTER TABLE kept ...;\n"
    line, own = f"own={tmp_path / 'own'}", tmp_path / "own"
    write_line(own, "own", "CREATE TABLE kept ()", f"SELECT 1;\n{comment}")
    before = objects(database)
    assert "own 0002_step.sql, line 2: undecided: " in refused(database, "migrate", "--line", line)
    assert objects(database) == before
    lines = shown(database, "migrate", "--dry-run", "--line", line)
    assert lines[-2].startswith("    line 2: undecided: ")
    assert shown(database, "migrate", "--line", line, "--to", "1")[-2] == "applied own 0001_step.sql"
    write_line(own, "own", "CREATE TABLE kept ()", f"-- storekit: allow undecided: it stays\n{comment}")
    assert shown(database, "migrate", "--line", line)[0] == "applied own 0002_step.sql"


def test_an_undecided_comment_in_an_applied_file_is_ignored(database: Database, tmp_path: Path) -> None:
    """An applied file cannot be edited, so its undecided comments do not count."""
    line = write_line(tmp_path / "own", "own", "-- storekit: decide: it\nSELECT 1")
    apply(database.url("admin"), [core(), line])
    write_line(tmp_path / "own", "own", "-- storekit: decide: it\nSELECT 1", "SELECT 2")
    lines = shown(database, "migrate", "--line", f"own={tmp_path / 'own'}")
    assert lines == ["applied own 0002_step.sql", "the stores are up to date"]


@pytest.mark.parametrize("option", [["--dry-run"], ["--to", "1"]])
@pytest.mark.parametrize("command", ["status", "lint"])
def test_migrate_options_are_refused_for_subcommands(
    database: Database, command: str, option: list[str]
) -> None:
    """`migrate --dry-run status` is refused, because the option would have no effect."""
    assert f"migrate {command} takes only --line" in refused(database, "migrate", *option, command)


def test_migrate_of_sync_and_async_stores(database: Database, tmp_path: Path) -> None:
    """`store.migrate` supports to and dry_run, and returns what it applied, as the command does."""
    line = write_line(tmp_path / "own", "own", "CREATE TABLE t1 ()", "CREATE TABLE t2 ()")
    settings = Settings.model_validate({"postgres_admin_url": database.url("admin")})

    async def migrate(to: int, *, dry_run: bool) -> list[str]:
        async with AsyncStore.open(settings) as store:
            return [str(done) for done in await store.migrate([line], to=("own", to), dry_run=dry_run)]

    with Store.open(settings) as store:
        pending = [str(migration) for migration in store.migrate([line], to=("own", 1), dry_run=True)]
        assert pending[-1] == "own 0001_step.sql"
        assert [str(migration) for migration in store.migrate([line], to=("own", 1))] == pending
        with pytest.raises(UsageError, match="migration own 0003 does not exist"):
            store.migrate([line], to=("own", 3))
    for dry_run in (True, False):
        assert asyncio.run(migrate(2, dry_run=dry_run)) == ["own 0002_step.sql"]
    assert asyncio.run(migrate(2, dry_run=False)) == []


def test_lint(database: Database, tmp_path: Path) -> None:
    """`migrate lint` only reads files: exit code 1 with a line for each finding, or 0 without findings."""
    assert shown(database, "migrate", "lint", *AGENCY) == [
        f"{len(SHIPPED)} migrations checked, no issues found"
    ]
    write_line(tmp_path / "own", "own", CLOCK)
    done = storekit(database, "migrate", "lint", *AGENCY, "--line", f"own={tmp_path / 'own'}")
    assert (done.returncode, done.stderr) == (1, "")
    assert re.fullmatch(r"own 0001_step\.sql, line 2: clock: .*\n", done.stdout)
    write_line(tmp_path / "own", "own", CLOCK.replace("\n", "\n-- storekit: allow clock: no test moves it\n"))
    assert shown(database, "migrate", "lint", *AGENCY, "--line", f"own={tmp_path / 'own'}") == [
        f"{len(SHIPPED) + 1} migrations checked, no issues found"
    ]
    assert database.ask("SELECT to_regclass('storekit.migration')::text") == [(None,)]
