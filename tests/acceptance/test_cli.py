"""The commands, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = {"POSTGRES_URL", "POSTGRES_ADMIN_URL", "MONGO_URL", "S3_BUCKET", "S3_ENDPOINT_URL"}


def storekit(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, "-m", "storekit.cli", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**inherited, **environment},
        timeout=120,
    )


def test_up_status_migrate_down(tmp_path: Path) -> None:
    """`up` starts servers that stay, `status` shows them, `migrate` sets up, twice too, `down` ends them."""
    from storekit.drivers.embedded import Stack

    home = tmp_path / "stack"
    try:
        up = storekit("up", "--dir", home)
        assert (up.returncode, up.stderr) == (0, "")
        assert [line.split()[:2] for line in up.stdout.splitlines()] == [
            ["postgres", "runs"],
            ["s3", "runs"],
            ["mongo", "runs"],
        ]
        assert storekit("up", "--dir", home).stdout == up.stdout
        assert storekit("status", "--dir", home).stdout == up.stdout
        with Stack.start(home) as stack:
            settings = stack.settings()
        assert settings.postgres_admin_url
        environment = {"POSTGRES_ADMIN_URL": settings.postgres_admin_url.get_secret_value()}
        for _ in range(2):
            migrated = storekit("migrate", **environment)
            assert (migrated.returncode, migrated.stderr) == (0, "")
    finally:
        down = storekit("down", "--dir", home)
    assert down.returncode == 0
    assert "have ended" in down.stdout
    after = storekit("status", "--dir", home)
    assert after.returncode == 1
    assert after.stdout.count("is down") == 3


def test_an_error_is_one_line(tmp_path: Path) -> None:
    """An error of storekit is one line on stderr with its remedy, exit code 1, and no traceback."""
    (tmp_path / "mine.txt").write_text("keep me")
    for arguments, remedy in (
        (("up", "--dir", tmp_path), "name another directory"),
        (("migrate",), "POSTGRES_ADMIN_URL is not set"),
    ):
        done = storekit(*arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        assert remedy in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_missing_extra_is_one_line() -> None:
    """Without typer or rich the command says what to install."""
    script = "import sys; sys.modules['typer'] = None; import storekit.cli"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr == "the storekit command needs typer and rich; run: pip install 'storekit[cli]'\n"


def test_help_names_every_command() -> None:
    """`--help` lists the commands."""
    done = storekit("--help", COLUMNS="100")
    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name in ("up", "down", "status", "migrate", "demo"))
