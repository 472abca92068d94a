"""`storekit schema mirror`: the schema of the database as files, for review and grep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from storekit.deploy.migrate import admin_url
from storekit.errors import UsageError
from storekit.settings import Settings

_OUT = Path("schemas/postgres/mirror")
_screen = Console(soft_wrap=True, highlight=False, markup=False)


def mirror(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; the exit code is 1 if a file differs.")
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Directory of the mirror.")
    ] = _OUT,
) -> None:
    """Write the schema of the database, one file for each table, view, function and type."""
    from storekit.drivers.postgres.admin.mirror import read
    from storekit.drivers.postgres.admin.runner import connect

    with connect(admin_url(Settings.from_env())) as connection:
        files = read(connection)
    changed = differences(out, files)
    if not check:
        renew(out, files)
        _screen.print(f"{out}: {len(files)} files, {len(changed)} changed")
        return
    for path in changed:
        _screen.print(f"{out / path} differs from the database")
    if changed:
        raise typer.Exit(1)
    _screen.print(f"{out}: {len(files)} files, identical to the database")


def differences(directory: Path, files: Mapping[str, str]) -> list[str]:
    """Return the paths of files that are missing, that differ, or whose object is not in the database."""
    present = _present(directory)
    return sorted(path for path in files.keys() | present if files.get(path) != present.get(path))


def renew(directory: Path, files: Mapping[str, str]) -> None:
    """Make the directory contain exactly these files.

    Raises:
        UsageError: it contains SQL files that the mirror did not write; nothing is changed.
    """
    from storekit.drivers.postgres.admin.mirror import HEADER

    present = _present(directory)
    foreign = next((path for path, text in present.items() if not text.startswith(HEADER)), None)
    # Checked before writing: `--out .` must not delete the migrations.
    if foreign is not None:
        raise UsageError(
            f"{directory / foreign} was not written by the mirror; choose a separate directory with --out"
        )
    for path in differences(directory, files):
        file = directory / path
        if path in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(files[path], encoding="utf-8", newline="\n")
        else:
            file.unlink()


def _present(directory: Path) -> dict[str, str]:
    return {
        file.relative_to(directory).as_posix(): file.read_text(encoding="utf-8")
        for file in directory.rglob("*.sql")
    }
