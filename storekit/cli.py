"""The command line: `storekit up|down|status|demo|migrate`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

from storekit import setup
from storekit.drivers import embedded
from storekit.errors import StorekitError
from storekit.lines import shipped
from storekit.settings import Settings

try:
    import typer
    from rich.console import Console
except ModuleNotFoundError as missing:
    raise SystemExit(
        "the storekit command needs typer and rich; run: pip install 'storekit[cli]'"
    ) from missing

app = typer.Typer(
    help="One typed record over Postgres, MongoDB and S3.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_screen = Console(soft_wrap=True, highlight=False, markup=False)
Home = Annotated[Path, typer.Option("--dir", help="The directory of the servers and their data.")]
_HOME = Path(".storekit")


@app.command()
def up(directory: Home = _HOME) -> None:
    """Start the three servers; they stay until `storekit down`."""
    with _screen.status("Starting PostgreSQL, S3 and MongoDB"):
        embedded.up(directory)
    status(directory)


@app.command()
def down(directory: Home = _HOME) -> None:
    """Stop the servers, unless another process still uses them."""
    with _screen.status("Stopping the servers"):
        owners = embedded.down(directory)
    in_use = f"the servers of {directory} stay until {owners} other process(es) let go of them"
    _screen.print(in_use if owners else f"the servers of {directory} have ended")


@app.command()
def status(directory: Home = _HOME) -> None:
    """Show which servers run; exit code 1 if one does not."""
    servers = embedded.status(directory)
    for server in servers:
        where = f"runs at 127.0.0.1:{server.port}, pid {server.pid}" if server.running else "is down"
        _screen.print(f"{server.name:<8} {where}")
    if not all(server.running for server in servers):
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Set up the stores that the environment names: core and agency migrations, bucket, collections."""
    with _screen.status("Migrating"):
        setup.migrate(Settings.from_env(), [shipped("agency")])
    _screen.print("the stores are up to date")


@app.command()
def demo(
    files: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Its *.md and *.pdf; default: storekit's documentation."
        ),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep the data here; default: a temporary directory.")
    ] = None,
) -> None:
    """Do the main job on real servers, check every byte, kill a writer and check again."""
    from storekit.demo import run
    from storekit.demo.screen import Screen

    run(files, directory, Screen())


def main() -> None:
    """Run a command; an error of storekit is one line and exit code 1."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except StorekitError as error:
        sys.stderr.write(f"storekit: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
