"""Parse the lines of migrations that are given with --line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storekit.errors import UsageError
from storekit.schema.lines import Line, shipped

OWN = "app=migrations"
"""The line of the user's own migrations, if --line names none."""
_SHIPPED = {"agency"}


def named_lines(named: Sequence[str]) -> list[Line]:
    """Return the lines of --line, plus ./migrations if it exists and none of them is the user's own."""
    lines = [shipped(text) if text in _SHIPPED else own_line(text) for text in named]
    if _SHIPPED.issuperset(named) and Path(OWN.partition("=")[2]).is_dir():
        lines.append(own_line(OWN))
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
