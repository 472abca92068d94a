"""`storekit migrate`: bring the stores that the environment names up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from storekit import setup
from storekit.errors import UsageError
from storekit.lines import Line, shipped
from storekit.settings import Settings

app = typer.Typer(invoke_without_command=True, add_completion=False)
_screen = Console(soft_wrap=True, highlight=False, markup=False)


@app.callback()
def migrate(
    line: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="A line of migrations of your own; may be given again."),
    ] = None,
) -> None:
    """Set up the stores that the environment names: migrations, bucket, collections.

    The core's and agency's migrations come first, then each --line in its turn.
    """
    lines = [shipped("agency"), *map(_line, line or [])]
    with _screen.status("Migrating"):
        setup.migrate(Settings.from_env(), lines)
    _screen.print("the stores are up to date")


def _line(text: str) -> Line:
    name, _, directory = text.partition("=")
    if not name or name in {"core", "agency"} or not directory or not Path(directory).is_dir():
        raise UsageError(
            f"--line {text}: it must be NAME=DIR, a name of your own and a directory that exists"
        )
    return Line(name, Path(directory))
