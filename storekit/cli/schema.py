"""`storekit schema`: compare the database with the classes and the migrations."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from storekit.cli.lines import OWN, own_line
from storekit.cli.mirror import mirror
from storekit.deploy.evolve import breaches, compare, lines_of, next_files, pending
from storekit.errors import ConfigurationError, UsageError
from storekit.model.declare.entity import Entity
from storekit.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Compare the database with your entity classes, or write its schema to files.",
)
app.command()(mirror)
_screen = Console(soft_wrap=True, highlight=False, markup=False)
Module = Annotated[str, typer.Argument(help="Module of your entity classes, such as myapp.models.")]
OwnLine = Annotated[
    str, typer.Option("--line", metavar="NAME=DIR", help="Name and directory of your line of migrations.")
]


@app.command()
def diff(module: Module, line: OwnLine = OWN) -> None:
    """Write the next migration, which changes the database to match the classes in MODULE.

    A change that could lose data, or fail on existing rows, is written as a comment; replace it with SQL, or
    delete it, before you migrate. The command also lists what is in the database but not declared by the
    classes.
    """
    entities, settings, own = entities_of(module), Settings.from_env(), own_line(line, make=True)
    lines = lines_of(entities, own)
    waiting = pending(settings, lines)
    if waiting:
        shipped = [each.name for each in lines[:-1]]
        named = "".join(f" --line {each}" for each in (*shipped, *([] if line == OWN else [line])))
        count = "1 migration is" if len(waiting) == 1 else f"{len(waiting)} migrations are"
        raise ConfigurationError(f"{count} pending, first {waiting[0]}; run storekit migrate{named}")
    found = compare(settings, entities, own)
    written = next_files(Path(str(own.directory)), found)
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
        _screen.print(str(path))
    for each in found:
        if each.weight == "decision":
            file = next(path for path, text in written.items() if each.comment in text)
            _screen.print(f"{each}: decide in {file}")
        elif each.weight == "remark":  # always printed: a renamed column leaves its values in the old one
            known = next((path for path, text in written.items() if each.comment in text), None)
            more = f"; the SQL that renames or drops it is in {known}" if known else ""
            _screen.print(f"{each}; it may stay{more}")
    if not found:
        _screen.print("no differences")


@app.command()
def check(
    module: Module,
    line: OwnLine = OWN,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Accept the findings that begin with this text. Can be repeated."),
    ] = None,
) -> None:
    """List the differences between MODULE, the migrations and the database.

    The exit code is 1 if there are any. It also lists what would bypass the isolation of tenants, such as
    a table without policies or a login with BYPASSRLS, each with the statement that corrects it.
    """
    own, entities, settings = own_line(line), entities_of(module), Settings.from_env()
    try:
        found = [f"migration {name} is pending" for name in pending(settings, lines_of(entities, own))]
    except ConfigurationError as error:  # an applied file was edited, renamed or removed
        found = [str(error)]
    # Before the first migration the database has no tables of storekit to compare with.
    if not any(name.startswith("migration core ") for name in found):
        found += [str(each) for each in compare(settings, entities, own) if each.weight != "remark"]
        found += breaches(settings)
    found = [each for each in found if not each.startswith(tuple(allow or ()))]
    for text in found:
        _screen.print(text)
    if found:
        raise typer.Exit(1)
    _screen.print("no differences")


def entities_of(name: str) -> list[type[Entity]]:
    """Return the classes with a table that a module defines or imports.

    Raises:
        UsageError: the module cannot be imported, has no such class, or has two classes for one table.
    """
    if "/" in name or name.endswith(".py") or name.startswith("."):
        dotted = ".".join(part for part in Path(name).with_suffix("").parts if part not in {"/", "..", "."})
        raise UsageError(
            f"{name} is a path; pass the name of the module, as for python -m: {dotted or 'myapp.models'}"
        )
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does, unlike the installed command
    try:
        module = import_module(name)
    except ImportError as error:
        raise UsageError(f"{name} cannot be imported from {Path.cwd()}: {error}") from error
    found: dict[str, type[Entity]] = {}
    for each in vars(module).values():
        # Not getattr: a subclass without a table of its own inherits the one of its base.
        if isinstance(each, type) and issubclass(each, Entity) and "storekit_table" in vars(each):
            table = each.storekit_table
            other = found.setdefault(table.name, each)
            if other is not each:
                raise UsageError(f"{other.__name__} and {each.__name__} both declare the table {table.name}")
    own = [entity for entity in found.values() if not entity.storekit_table.line]
    if not own:
        raise UsageError(f'{name} has no class with a table; declare one: class Name(Entity, table="names")')
    return own
