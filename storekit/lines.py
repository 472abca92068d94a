"""Lines of migrations: core, agency, the user's own; each has its own numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storekit import schemas

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class Line:
    """A directory of files `NNNN_what.sql`, numbered from 0001 without a gap."""

    name: str
    directory: Traversable


def core() -> Line:
    """Name storekit's own line; it comes first."""
    return Line("core", schemas.root() / "postgres" / "migrations")


def shipped(name: str) -> Line:
    """Name a line that comes with storekit, such as `agency`."""
    return Line(name, schemas.root() / "postgres" / "migrations" / name)
