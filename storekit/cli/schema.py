"""`storekit schema`: what the database should be, beside what it is."""

from __future__ import annotations

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Compare the database with its declarations."
)
