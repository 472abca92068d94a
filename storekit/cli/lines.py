"""Parse the lines of migrations that are given with --line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storekit.errors import UsageError
from storekit.schema.lines import Line, shipped

OWN = "app=migrations"
"""The line of the user's own migrations, if --line names none."""
_SHIPPED = {"agency"}


def named_lines(named: Sequence[str], *, required: bool = True) -> list[Line]:
    """Return the lines of --line, plus ./migrations if it exists and none of them is the user's own.

    Args:
        required: refuse an empty list.

    Raises:
        UsageError: there is no line at all: the command was probably started in the wrong directory.
    """
    lines = [shipped(text) if text in _SHIPPED else own_line(text) for text in named]
    own = Path(OWN.partition("=")[2])
    if _SHIPPED.issuperset(named) and own.is_dir():
        lines.append(own_line(OWN))
    if required and not lines:
        raise UsageError(
            f"no migrations found: {own.absolute()} does not exist; run the command in the directory that "
            "contains it, create it, or name your migrations with --line NAME=DIR"
        )
    return lines


def own_line(text: str, *, make: bool = False) -> Line:
    """Parse NAME=DIR, the value of --line.

    Args:
        make: create the directory if it does not exist.

    Raises:
        UsageError: it is not NAME=DIR, the name is reserved, or the directory does not exist.
    """
    name, sign, directory = text.partition("=")
    if why := _fault(name, sign, directory):
        raise UsageError(f"--line {text}: {why}")
    if make:
        Path(directory).mkdir(parents=True, exist_ok=True)
    if not Path(directory).is_dir():
        raise UsageError(f"--line {text}: directory {directory} does not exist; create it or use another")
    return Line(name, Path(directory))


def _fault(name: str, sign: str, directory: str) -> str:
    if not sign:
        return "it has no '='; write NAME=DIR, or agency for the line that storekit ships"
    if not name:
        return "it has no name before the '='; write NAME=DIR"
    if not directory:
        return "it has no directory after the '='; write NAME=DIR"
    if name in {"core", *_SHIPPED}:
        return f"the name {name} is reserved; use another name"
    return ""
