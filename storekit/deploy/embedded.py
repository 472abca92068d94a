"""Start the embedded servers of `Store.embedded(path)`, and create the tables of its classes."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from storekit.deploy.evolve import compare, lines_of, next_files, pending
from storekit.deploy.migrate import migrate
from storekit.errors import ConfigurationError, UsageError
from storekit.model.declare.entity import Entity, require_table
from storekit.model.table.names import qualified
from storekit.schema.ddl import render
from storekit.schema.diff import Difference
from storekit.schema.files import root
from storekit.schema.lines import Line, core
from storekit.schema.taken_names import check_names
from storekit.settings import Settings

if TYPE_CHECKING:
    from storekit.embedded import Stack

_OWN_LINE = "app"
_MARK = "schema.sha256"
_OF_SERVERS = {
    *("postgres_url", "postgres_admin_url", "postgres_worker_url", "postgres_reporter_url"),
    *("mongo_url", "mongo_database"),
    *("s3_endpoint_url", "s3_bucket", "s3_region", "s3_access_key", "s3_secret_key", "s3_session_token"),
    "s3_expires_on",
}
"""The settings that the embedded servers determine."""


class EmbeddedServers:
    """Starts the servers of a directory, migrates them for the classes, and stops using them at the end."""

    def __init__(
        self, path: Path, entities: Sequence[type[Entity]], settings: Settings | None = None
    ) -> None:
        for entity in entities:
            require_table(entity)
        given = settings or Settings()
        if wrong := sorted(given.model_fields_set & _OF_SERVERS):
            raise UsageError(
                f"an embedded store has its own servers: its settings must not contain {', '.join(wrong)}; "
                "pass other settings only, or use open() for your own servers"
            )
        check_names(entities)
        self._path = path
        self._entities = entities
        self._given = given
        self._stack: Stack | None = None

    def start(self) -> Settings:
        """Start servers that are not running, and apply pending migrations. Blocking."""
        from storekit.embedded import Stack

        self._stack = Stack.start(self._path)
        try:
            settings = self._with_addresses(self._stack.settings())
            self._migrate(settings)
        except BaseException:
            self.stop()
            raise
        return settings

    def stop(self) -> None:
        """Stop using the servers. They stop when no process uses them any more."""
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    def _with_addresses(self, found: Settings) -> Settings:
        return self._given.model_copy(update={name: getattr(found, name) for name in _OF_SERVERS})

    def _migrate(self, settings: Settings) -> None:
        directory, mark = self._path / "migrations", self._path / _MARK
        directory.mkdir(mode=0o755, exist_ok=True)
        own = Line(_OWN_LINE, directory)
        with _locked(directory):
            lines = lines_of(self._entities, own)
            # Usually the previous start had the same classes and files, and nothing must be compared.
            if mark.exists() and mark.read_text() == _digest(lines, self._entities):
                return
            migrate(settings, lines)
            evolve(settings, self._entities, lines)
            _write(mark, _digest(lines, self._entities))


def evolve(settings: Settings, entities: Sequence[type[Entity]], lines: Sequence[Line]) -> None:
    """Write and apply the next files of the last line, if the classes need them.

    Raises:
        ConfigurationError: a change of a class could lose data, so a person must decide; nothing was written.
    """
    directory = Path(str(lines[-1].directory))
    found = [each for each in compare(settings, entities, lines[-1], in_use=False) if each.weight != "remark"]
    following = next_files(directory, found, in_use=False)
    decisions = [each for each in found if each.weight == "decision"]
    if decisions:
        raise ConfigurationError(_open_decisions(decisions, entities, following))
    for path, text in following.items():
        _write(path, text)
        try:
            migrate(settings, lines)
        except ConfigurationError:
            # This call generated the file, which was rolled back. It would fail again at each start.
            if f"{lines[-1].name} {path.name}" in pending(settings, lines):
                path.unlink()
            raise


def _open_decisions(
    decisions: Sequence[Difference], entities: Sequence[type[Entity]], following: Mapping[Path, str]
) -> str:
    classes = {qualified(entity.storekit_table.name): entity.__name__ for entity in entities}
    names = ", ".join(dict.fromkeys(classes[each.table] for each in decisions))
    first, *others = following
    more = "".join(f"\n\nand this to {path}:\n\n{following[path]}" for path in others)
    return (
        f"the database differs from {names} ({'; '.join(map(str, decisions))}); start in an empty directory, "
        f"or write this to {first}, remove the comment signs of what you want, and start again:\n\n"
        f"{following[first]}{more}"
    )


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may change, whatever the umask is. Otherwise the next start would refuse
    it."""
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
        file.write(text)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock the directory, so that two processes that start together do not write the same change twice."""
    handle = os.open(
        directory, os.O_RDONLY
    )  # lock the directory itself: it contains migrations and should contain no lock file
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _digest(lines: Sequence[Line], entities: Sequence[type[Entity]]) -> str:
    """Hash everything that the setup depends on, so that a start can skip it if nothing has changed."""
    digest = hashlib.sha256()
    directories = [line.directory for line in (core(), *lines)] + [root() / "mongo", root() / "s3"]
    for directory in directories:
        for file in sorted(directory.iterdir(), key=lambda file: file.name):
            if file.is_file():
                digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    for entity in entities:
        digest.update(render(entity).encode() + b"\0")
    return digest.hexdigest()
