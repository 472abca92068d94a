"""`storekit migrate`: set up and update the stores that the environment variables configure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from storekit.cli.lines import named_lines
from storekit.deploy import migrate as deploy
from storekit.errors import UsageError
from storekit.schema.lines import Line
from storekit.settings import Settings

app = typer.Typer(invoke_without_command=True, add_completion=False)
_screen = Console(soft_wrap=True, highlight=False, markup=False)
Lines = Annotated[
    list[str] | None,
    typer.Option(
        "--line",
        metavar="NAME=DIR",
        help="A line of your own migrations, or `agency`, which storekit ships. Can be repeated. "
        "Without a line of your own, app=migrations is used if ./migrations exists.",
    ),
]


@app.callback()
def migrate(
    context: typer.Context,
    line: Lines = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="[NAME=]N", help="Stop after migration N of the last --line, or of line NAME."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; list pending migrations.")
    ] = False,
) -> None:
    """Set up or update the stores in the environment variables: migrations, bucket, collections.

    The migrations of storekit run first, then those of each --line in the given order.
    """
    context.obj = line or []
    if context.invoked_subcommand is not None:
        if dry_run or to is not None:
            raise UsageError(
                f"migrate {context.invoked_subcommand} takes only --line; omit --to and --dry-run"
            )
        return
    lines = named_lines(context.obj)
    target = _target(to, [*context.obj] or [each.name for each in lines])
    if dry_run:
        _preview(lines, target)
        return
    with _screen.status("Migrating"):
        applied = deploy.migrate(Settings.from_env(), lines, to=target)
    for migration in applied:
        _screen.print(f"applied {migration}")
    stopped = "" if target is None else f" as of {target[0]} {target[1]:04}"
    _screen.print(f"the stores are up to date{stopped}")


@app.command()
def status(context: typer.Context, line: Lines = None) -> None:
    """Show when and by which login each migration was applied, or that it is pending."""
    for each in deploy.status(
        Settings.from_env(), named_lines([*context.obj, *(line or [])], required=False)
    ):
        when = f"{each.applied_on:%Y-%m-%d %H:%M:%S%z} by {each.applied_by}" if each.applied_on else "pending"
        _screen.print(f"{each.line:<8} {f'{each.number:04}_{each.name}':<32} {when}")


@app.command()
def lint(context: typer.Context, line: Lines = None) -> None:
    """Check migration files with storekit's own rules. Needs no server.

    The exit code is 1 if there is a finding.

    To accept a finding, put a comment on the line before it: -- storekit: allow <rule>: <why>
    """
    files = deploy.check(named_lines([*context.obj, *(line or [])]))
    found = [f"{migration}, {finding}" for migration, findings in files for finding in findings]
    for text in found:
        _screen.print(text)
    if found:
        raise typer.Exit(1)
    _screen.print(f"{len(files)} migrations checked, no issues found")


def _preview(lines: Sequence[Line], target: tuple[str, int] | None) -> None:
    pending = deploy.migrate(Settings.from_env(), lines, to=target, dry_run=True)
    findings = {str(migration): found for migration, found in deploy.check(lines)}
    for migration in pending:
        _screen.print(f"would apply {migration}")
        for finding in findings[str(migration)]:
            _screen.print(f"    {finding}")
    _screen.print(f"{len(pending)} to apply; nothing was changed")


def _target(text: str | None, named: Sequence[str]) -> tuple[str, int] | None:
    """Parse --to. A number without a name is one of the last line in `named`."""
    if text is None:
        return None
    name, _, number = text.rpartition("=")
    name = name or (named[-1].partition("=")[0] if named else "")
    if not name or not number.isdecimal():
        raise UsageError(f"--to {text}: it must be N (a number of the last --line) or NAME=N")
    return name, int(number)
