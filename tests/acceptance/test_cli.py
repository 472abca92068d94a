"""The commands, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest

from storekit import Settings
from tests.support.commands import storekit_command

ROOT = Path(__file__).parents[2]
OURS = {"POSTGRES_URL", "POSTGRES_ADMIN_URL", "MONGO_URL", "S3_BUCKET", "S3_ENDPOINT_URL"}


def inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OURS}


def storekit(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-m", "storekit.cli", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**inherited(), **environment},
        timeout=120,
    )


def quick(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that was forked, which is faster than a new interpreter."""
    return storekit_command(*arguments, environment={**inherited(), **environment}, home=ROOT)


def test_up_status_migrate_down(tmp_path: Path) -> None:
    """`up` starts servers that stay up, `status` shows them, `migrate` works twice, `down` stops them."""
    from storekit.embedded import Stack

    home = tmp_path / "stack"
    try:
        up = storekit("up", "--dir", home)
        assert (up.returncode, up.stderr) == (0, "")
        *servers, hint = up.stdout.splitlines(keepends=True)
        assert hint == f'to use them in this shell, run: eval "$(storekit env --dir {home})"\n'
        assert [line.split()[:2] for line in servers] == [
            ["postgres", "is"],
            ["s3", "is"],
            ["mongo", "is"],
        ]
        assert quick("up", "--dir", home).stdout == up.stdout
        assert quick("status", "--dir", home).stdout == "".join(servers)
        with Stack.start(home) as stack:
            settings = stack.settings()
        environment = exported(quick("env", "--dir", home).stdout)
        assert Settings.from_env(environment) == settings
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "0001_mine.sql").write_text("CREATE TABLE public.mine (id int);")
        for _ in range(2):
            migrated = quick("migrate", "--line", f"own={tmp_path / 'own'}", **environment)
            assert (migrated.returncode, migrated.stderr) == (0, "")
        with psycopg.connect(environment["POSTGRES_ADMIN_URL"]) as connection:
            assert connection.execute("SELECT to_regclass('public.mine')::text").fetchone() == ("mine",)
    finally:
        down = quick("down", "--dir", home)
    assert down.returncode == 0
    assert "have stopped" in down.stdout
    after = quick("status", "--dir", home)
    assert after.returncode == 1
    assert after.stdout.count("is not running") == 3
    env = quick("env", "--dir", home)
    assert (env.returncode, env.stdout) == (1, "")
    assert env.stderr.endswith(f"are not running: postgres, s3, mongo; run: storekit up --dir {home}\n")


def exported(lines: str) -> dict[str, str]:
    """Let a shell evaluate the lines of `storekit env`."""
    assert all(re.fullmatch(r"export [A-Z0-9_]+='.*'", line) for line in lines.splitlines())
    listed = subprocess.run(
        ["sh", "-c", 'eval "$LINES_OF_ENV"; unset LINES_OF_ENV; env -0'],
        env={"LINES_OF_ENV": lines, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(entry.split("=", 1) for entry in listed.stdout.split("\0") if "=" in entry)


@pytest.mark.parametrize("command", ["down", "status", "env"])
def test_commands_without_a_stack_are_one_line(command: str, tmp_path: Path) -> None:
    """`down`, `status` and `env` without a stack print one line, exit with 1, and create nothing."""
    for directory in (tmp_path, tmp_path / "missing"):
        done = quick(command, "--dir", directory)
        assert (done.returncode, done.stdout) == (1, "")
        assert (
            done.stderr == f"storekit: {directory} is not a stack; pass the directory of a stack with --dir\n"
        )
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_input_of_the_demo_is_one_line(tmp_path: Path) -> None:
    """The demo refuses an unreadable file by name before any server starts."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.md").symlink_to("/proc/self/mem")  # can be opened but not read, even by root
    done = quick("demo", "--files", tmp_path / "in", "--dir", tmp_path / "servers")
    assert (done.returncode, done.stdout) == (1, "")
    assert "broken.md cannot be read: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "servers").exists()


def test_version() -> None:
    """`--version` prints the installed version."""
    assert storekit("--version").stdout == f"storekit {version('storekit')}\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("own", "it has no '='; write NAME=DIR, or agency"),
        ("=here", "it has no name before the '='"),
        ("own=", "it has no directory after the '='"),
        ("own=/nowhere", "directory /nowhere does not exist"),
        ("core=.", "the name core is reserved; use another name"),
        ("agency=.", "the name agency is reserved; use another name"),
    ],
)
def test_an_invalid_line_is_one_line(line: str, why: str) -> None:
    """`migrate --line` requires a new name and an existing directory, and says what is wrong."""
    done = quick("migrate", "--line", line)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"--line {line}: {why}" in done.stderr


def test_an_error_is_one_line(tmp_path: Path) -> None:
    """An error of storekit is one line on stderr with its remedy, exit code 1, and no traceback."""
    (tmp_path / "mine.txt").write_text("keep me")
    (tmp_path / "own").mkdir()
    own = ("--line", f"app={tmp_path / 'own'}")
    for arguments, remedy in (
        (("up", "--dir", tmp_path), "use another directory"),
        (("migrate", *own), "POSTGRES_ADMIN_URL is not set"),
        (("migrate", *own, "status"), 'eval "$(storekit env)"'),
    ):
        done = quick(*arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        assert remedy in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("migrate",), ("migrate", "lint")])
def test_a_directory_without_migrations_is_refused(command: tuple[str, ...], tmp_path: Path) -> None:
    """`migrate` in a directory without migrations says where it looked and what to do."""
    done = storekit_command(*command, environment=inherited(), home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"storekit: no migrations found: {tmp_path / 'migrations'} does not exist; run the command in the "
        "directory that contains it, create it, or name your migrations with --line NAME=DIR\n"
    )


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    """The command line names host, port and cause of a server that cannot be reached."""
    (tmp_path / "migrations").mkdir()
    url = "postgresql://admin:secret@127.0.0.1:1/app"
    done = storekit_command("migrate", environment={**inherited(), "POSTGRES_ADMIN_URL": url}, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "storekit: postgres is unavailable: no connection to POSTGRES_ADMIN_URL; nothing was committed; call "
        "again (127.0.0.1:1: connection refused)\n"
    )


def test_a_missing_extra_is_one_line() -> None:
    """Without typer or rich the command says what to install."""
    script = "import sys; sys.modules['typer'] = None; import storekit.cli"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr == "the storekit command needs typer and rich; run: pip install 'storekit[cli]'\n"


def test_help_lists_every_command() -> None:
    """`--help` lists the commands."""
    done = storekit("--help", COLUMNS="100")
    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name in ("up", "down", "status", "env", "migrate", "demo"))
