"""The embedded stack with its schema: what `Store.embedded(path, entities=(...))` starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from storekit.errors import ConfigurationError
from storekit.lines import Line, core, shipped
from storekit.model.ddl import render
from storekit.model.entity import Entity
from storekit.schemas import root
from storekit.settings import Settings
from storekit.setup import migrate

if TYPE_CHECKING:
    from storekit.drivers.embedded import Stack

_OWN_LINE = "app"
_MARK = "schema.sha256"
_MEMBERS = {
    f"storekit_{role}": [f"storekit_{role}_login"] for role in ("app", "worker", "auditor", "reporter")
}


class Hosting:
    """Starts the servers of a directory, brings their schema up to the classes, and lets go again."""

    def __init__(self, path: Path, entities: Sequence[type[Entity]]) -> None:
        self._path = path
        self._entities = entities
        self._stack: Stack | None = None

    def start(self) -> Settings:
        """Start what does not run and apply what is pending (blocking)."""
        from storekit.drivers.embedded import Stack

        self._stack = Stack.start(self._path)
        try:
            settings = self._stack.settings()
            self._bring_up(settings)
        except BaseException:
            self.stop()
            raise
        return settings

    def stop(self) -> None:
        """Cease to own the servers; the last owner ends them."""
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    def _bring_up(self, settings: Settings) -> None:
        own = self._path / "migrations"
        own.mkdir(exist_ok=True)
        write_migrations(own, [entity for entity in self._entities if not entity.storekit_table.line])
        names = dict.fromkeys(e.storekit_table.line for e in _with_targets(self._entities))
        lines = [*(shipped(name) for name in names if name), Line(_OWN_LINE, own)]
        digest, mark = _digest(lines), self._path / _MARK
        if not mark.exists() or mark.read_text() != digest:
            migrate(settings, lines)
            _grant(settings)
            mark.write_text(digest)


def write_migrations(directory: Path, entities: Iterable[type[Entity]]) -> None:
    """Write each class that has none yet as the next migration file.

    Raises:
        ConfigurationError: a class no longer matches its file.
    """
    files = sorted(directory.glob("[0-9]*.sql"))
    known = {file.stem.partition("_")[2]: file for file in files}
    number = len(files)
    for entity in _sorted(entities):
        name, text = entity.storekit_table.name.replace(".", "_"), render(entity)
        if name not in known:
            number += 1
            (directory / f"{number:04}_{name}.sql").write_text(text)
        elif known[name].read_text() != text:
            raise ConfigurationError(
                f"{entity.__name__} is no longer what {known[name]} made of it; write the change as the next "
                f"migration file there, or start with an empty directory"
            )


def _sorted(entities: Iterable[type[Entity]]) -> Iterator[type[Entity]]:
    """Put a class after those that it refers to."""
    wanted = list(entities)
    order = TopologicalSorter({entity: set(_targets(entity)) - {entity} for entity in wanted}).static_order()
    return (entity for entity in order if entity in wanted)


def _targets(entity: type[Entity]) -> Iterator[type[Entity]]:
    for column in entity.storekit_table.columns.values():
        if column.reference is not None and isinstance(column.reference.target, type):
            yield column.reference.target


def _with_targets(entities: Iterable[type[Entity]]) -> Iterator[type[Entity]]:
    for entity in entities:
        yield from _targets(entity)
        yield entity


def _digest(lines: Sequence[Line]) -> str:
    """Hash everything that setting up depends on, so that attaching to a ready stack costs nothing."""
    digest = hashlib.sha256()
    directories = [line.directory for line in (core(), *lines)] + [root() / "mongo", root() / "s3"]
    for directory in directories:
        for file in sorted(directory.iterdir(), key=lambda file: file.name):
            if file.is_file():
                digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _grant(settings: Settings) -> None:
    from storekit.drivers.postgres.migrate import grant

    assert settings.postgres_admin_url is not None  # noqa: S101 the stack sets it
    grant(settings.postgres_admin_url.get_secret_value(), _MEMBERS)
