"""The lines of migrations that a command names with --line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storekit.errors import UsageError
from storekit.schema.lines import Line, shipped

OWN = "app=migrations"
"""The line of one's own where none is named."""
_SHIPPED = {"agency"}


def named_lines(named: Sequence[str]) -> list[Line]:
    """Read what --line says; without a line of one's own ./migrations is it, if it is there."""
    lines = [shipped(text) if text in _SHIPPED else own_line(text) for text in named]
    if _SHIPPED.issuperset(named) and Path(OWN.partition("=")[2]).is_dir():
        lines.append(own_line(OWN))
    return lines


def own_line(text: str, *, make: bool = False) -> Line:
    """Read NAME=DIR.

    Args:
        make: make the directory if it is missing.

    Raises:
        UsageError: it is not NAME=DIR, the name is storekit's, or the directory is missing.
    """
    name, sign, directory = text.partition("=")
    if why := _fault(name, sign, directory):
        raise UsageError(f"--line {text}: {why}")
    if make:
        Path(directory).mkdir(parents=True, exist_ok=True)
    if not Path(directory).is_dir():
        raise UsageError(f"--line {text}: there is no directory {directory}; make it, or name another")
    return Line(name, Path(directory))


def _fault(name: str, sign: str, directory: str) -> str:
    if not sign:
        return "it has no '='; write NAME=DIR, or agency for the line that is shipped"
    if not name:
        return "it has no name before the '='; write NAME=DIR"
    if not directory:
        return "it has no directory after the '='; write NAME=DIR"
    if name in {"core", *_SHIPPED}:
        return f"the name {name} is storekit's; give your line another"
    return ""
