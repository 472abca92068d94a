"""Lines of migrations: storekit's own, those shipped with it, and the user's; each has its own numbers."""

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
    """A directory of migration files `NNNN_what.sql`, numbered from 0001 without a gap.

    >>> from pathlib import Path
    >>> Line("app", Path("migrations")).name
    'app'

    Attributes:
        name: name of the line in the database; each line of a database needs its own.
        directory: path of the directory.
    """

    name: str
    directory: Traversable
    shipped: bool = False
    """Whether the files come with storekit, which never changes them after a release."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file.

    Attributes:
        line: name of its line.
        number: number in its line, from 1.
        name: name without number and suffix.
        text: SQL of the file.
    """

    line: str
    number: int
    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the text that is sent to Postgres; line endings of a checkout do not change it."""
        return sha256(self.text.encode()).digest()

    def __str__(self) -> str:
        return f"{self.line} {self.number:04}_{self.name}.sql"


def core() -> Line:
    """Return storekit's own line, which comes before all others."""
    return Line("core", files.root() / "postgres" / "migrations", shipped=True)


def shipped(name: str) -> Line:
    """Return a line that is shipped with storekit, such as "agency"."""
    return Line(name, files.root() / "postgres" / "migrations" / name, shipped=True)


def read(lines: Sequence[Line]) -> list[Migration]:
    """Read the files of all lines, in the order in which they are applied.

    Raises:
        ConfigurationError: the numbers of a line have a gap, the name of a file is invalid, or two lines have
            the same name.
    """
    names = [line.name for line in lines]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two lines of migrations are named {name}; give each line its own name")
    return [migration for line in lines for migration in _read_line(line)]


def _read_line(line: Line) -> Iterator[Migration]:
    names = sorted(f.name for f in line.directory.iterdir() if f.name.endswith(".sql"))
    for expected, name in enumerate(names, 1):
        match = _FILE.fullmatch(name)
        # two branches that each added a file cause a gap or a duplicate number. It must be found before some
        # databases have applied one of the files and others the other
        if match is None or int(match[1]) != expected:
            raise ConfigurationError(
                f"line {line.name}: expected number {expected:04}, found {name}; "
                "name the files NNNN_what.sql and number them from 0001 without gaps"
            )
        text = (line.directory / name).read_text(encoding="utf-8")
        yield Migration(line.name, expected, match[2], text)
