"""The command line: `storekit up|down|status|env|migrate|schema|relay|doctor|demo`."""

from __future__ import annotations

import shlex
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from storekit import embedded
from storekit.errors import StorekitError

try:
    import typer
    from rich.console import Console
except ModuleNotFoundError as missing:
    raise SystemExit(
        "the storekit command needs typer and rich; run: pip install 'storekit[cli]'"
    ) from missing

from storekit.cli import migrate, relay, schema
from storekit.cli.message import message

app = typer.Typer(
    help="One typed record over Postgres, MongoDB and S3.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(migrate.app, name="migrate")
app.add_typer(schema.app, name="schema")
app.command()(relay.relay)
app.command()(relay.doctor)
_screen = Console(soft_wrap=True, highlight=False, markup=False)
Home = Annotated[Path, typer.Option("--dir", help="Directory of the servers and their data.")]
_HOME = Path(".storekit")


def _show_version(wanted: bool) -> None:
    if wanted:
        _screen.print(f"storekit {version('storekit')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """One typed record over Postgres, MongoDB and S3."""


@app.command()
def up(directory: Home = _HOME) -> None:
    """Start the three servers. They run until `storekit down`."""
    with _screen.status("Starting PostgreSQL, S3 and MongoDB"):
        embedded.up(directory)
    status(directory)
    option = "" if directory == _HOME else f" --dir {shlex.quote(str(directory))}"
    _screen.print(f'to use them in this shell, run: eval "$(storekit env{option})"')


@app.command()
def down(directory: Home = _HOME) -> None:
    """Stop the servers, unless another process uses them."""
    embedded.require(directory)
    with _screen.status("Stopping the servers"):
        owners = embedded.down(directory)
    in_use = f"the servers of {directory} keep running: {owners} other process(es) still use them"
    _screen.print(in_use if owners else f"the servers of {directory} have stopped")


@app.command()
def status(directory: Home = _HOME) -> None:
    """Show which servers are running. The exit code is 1 if one is not."""
    embedded.require(directory)
    servers = embedded.status(directory)
    for server in servers:
        where = (
            f"is running at 127.0.0.1:{server.port}, pid {server.pid}" if server.running else "is not running"
        )
        _screen.print(f"{server.name:<8} {where}")
    if not all(server.running for server in servers):
        raise typer.Exit(1)


@app.command()
def env(directory: Home = _HOME) -> None:
    """Print the settings of running servers as shell exports: eval "$(storekit env)".

    The output contains the passwords, so do not send it to a log.
    """
    # A setting without a value is printed as empty, to replace a value of another stack in the same shell.
    for name, value in embedded.settings(directory).to_env().items():
        sys.stdout.write(f"export {name}={_quoted(value)}\n")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


@app.command()
def demo(
    files: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Directory whose *.md and *.pdf files are saved; default: storekit's README.",
        ),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Directory for the data; default: a temporary one.")
    ] = None,
) -> None:
    """Save files on real servers, check every byte, kill a writer and check again."""
    from storekit.demo import run
    from storekit.demo.screen import Screen

    run(files, directory, Screen())


def main() -> None:
    """Run a command. A `StorekitError` is printed as one line, and the exit code is 1."""
    # Raise SystemExit on SIGTERM, so that `up` and `demo` close what they have opened.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except StorekitError as error:
        sys.stderr.write(message(error))
        sys.exit(1)
