"""Lines of migrations: core, agency, the user's own; each has its own numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from storekit.errors import ConfigurationError
from storekit.schema import files

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Line:
    """A directory of files `NNNN_what.sql`, numbered from 0001 without a gap."""

    name: str
    directory: Traversable
    shipped: bool = False
    """Whether the files come with storekit, which never changes them after a release."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of a line."""

    line: str
    number: int
    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        """Hash what Postgres is sent, so that a checkout's line ends do not count."""
        return sha256(self.text.encode()).digest()

    def __str__(self) -> str:
        return f"{self.line} {self.number:04}_{self.name}.sql"


def core() -> Line:
    """Name storekit's own line; it comes first."""
    return Line("core", files.root() / "postgres" / "migrations", shipped=True)


def shipped(name: str) -> Line:
    """Name a line that comes with storekit, such as `agency`."""
    return Line(name, files.root() / "postgres" / "migrations" / name, shipped=True)


def read(lines: Sequence[Line]) -> list[Migration]:
    """Read the files of all lines in their order.

    Raises:
        ConfigurationError: a gap, a stray name, a line that is named twice.
    """
    names = [line.name for line in lines]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"line {name} is named twice; give each directory a name of its own")
    return [migration for line in lines for migration in _read_line(line)]


def _read_line(line: Line) -> Iterator[Migration]:
    names = sorted(f.name for f in line.directory.iterdir() if f.name.endswith(".sql"))
    for expected, name in enumerate(names, 1):
        match = _FILE.fullmatch(name)
        if match is None or int(match[1]) != expected:
            raise ConfigurationError(
                f"line {line.name}: found {name} where number {expected:04} belongs; "
                "files are named NNNN_what.sql and numbered from 0001 without gaps"
            )
        text = (line.directory / name).read_text(encoding="utf-8")
        yield Migration(line.name, expected, match[2], text)
