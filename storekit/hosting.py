"""The embedded stack with its schema: what `Store.embedded(path, entities=(...))` starts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from storekit.errors import ConfigurationError
from storekit.lines import Line, core, shipped
from storekit.model.ddl import qualified, render
from storekit.model.entity import Entity, require_table
from storekit.model.table import BASE
from storekit.schemas import root
from storekit.settings import Settings
from storekit.setup import migrate

if TYPE_CHECKING:
    from storekit.drivers.embedded import Stack

_OWN_LINE = "app"
_MARK = "schema.sha256"
_LINE = re.compile(r"(?<=^    )(?:[a-z_\"]|FOREIGN KEY).*$", re.MULTILINE)
_TYPE = re.compile(r"^CREATE TYPE (\S+) AS (.*);$", re.MULTILINE)
_FACT = re.compile(r"^ +\('([^']*)', '(\w+)', (.*)\),?$", re.MULTILINE)


class Hosting:
    """Starts the servers of a directory, brings their schema up to the classes, and lets go again."""

    def __init__(self, path: Path, entities: Sequence[type[Entity]]) -> None:
        for entity in entities:
            require_table(entity)
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
            mark.write_text(digest)


def write_migrations(directory: Path, entities: Iterable[type[Entity]]) -> None:
    """Write each class that no file names yet as the next migration file.

    Raises:
        ConfigurationError: a class is no longer what the files make of it, or refers to one without a table.
    """
    wanted = list(_sorted(entities))
    texts = {file: file.read_text(encoding="utf-8") for file in sorted(directory.glob("[0-9]*.sql"))}
    fresh = []
    for entity in wanted:
        _check_targets(entity, wanted, texts.values())
        about = [file for file, text in texts.items() if _manage(entity) in text]
        if about:
            following = directory / f"{len(texts) + 1:04}_{_stem(entity)}.sql"
            _check_described(entity, about[0], [texts[file] for file in about], following)
        else:
            fresh.append(entity)
    for number, entity in enumerate(fresh, len(texts) + 1):
        (directory / f"{number:04}_{_stem(entity)}.sql").write_text(render(entity), encoding="utf-8")


def _stem(entity: type[Entity]) -> str:
    return entity.storekit_table.name.replace(".", "_")


def _manage(entity: type[Entity]) -> str:
    """Say by what a table's files are known; two tables can share a file's name, never this."""
    return f"storekit.manage('{qualified(entity.storekit_table.name)}')"


def _check_targets(entity: type[Entity], wanted: Sequence[type[Entity]], texts: Iterable[str]) -> None:
    for target in _targets(entity):
        if target in wanted or target.storekit_table.line or any(_manage(target) in text for text in texts):
            continue
        names = f"{entity.__name__} references {target.__name__}"
        raise ConfigurationError(f"{names}: list it in entities too")


def _check_described(entity: type[Entity], file: Path, texts: Sequence[str], following: Path) -> None:
    own, later = texts[0], "\n".join(texts[1:])
    table = qualified(entity.storekit_table.name)
    old, new = _definitions(own, table), _definitions(render(entity), table)
    differing = {
        "added": [key for key in new if key not in old],
        "removed": [key for key in old if key not in new and not key[0].isupper()],
        "changed": [key for key in new if key in old and old[key] != new[key]],
    }
    open_ = {how: [key for key in keys if not _names(later, key)] for how, keys in differing.items()}
    # A table in a person's own handwriting cannot be compared: Postgres will say what it lacks.
    if f"CREATE TABLE {table} (\n" not in own or not any(open_.values()):
        return
    what = "; ".join(f"{how}: {', '.join(map(_short, keys))}" for how, keys in open_.items() if keys)
    adds = "" if open_["removed"] or open_["changed"] else _additions(entity, open_["added"], "".join(texts))
    raise ConfigurationError(
        f"{entity.__name__} is no longer what {file} made of {table} ({what}); write the "
        f"change as {following}, with {_manage(entity)} in it, or start in an empty directory{adds}"
    )


def _definitions(text: str, table: str) -> dict[str, str]:
    """Read a rendered table: columns by name, keys by their text, enum types and facts of parts."""
    body = text.partition(f"CREATE TABLE {table} (\n")[2].partition("\n);")[0]
    lines = [match[0].removesuffix(",") for match in _LINE.finditer(body)]
    found = {line if line[0].isupper() else line.partition(" ")[0]: line for line in lines}
    for own in (*BASE, "parts_live"):  # storekit's to change, not the class's
        found.pop(own, None)
    if lines:
        types = _TYPE.findall(text)
        found |= {f"type {name}": labels for name, labels in types if name.startswith(_bare(table) + "_")}
        facts = _FACT.findall(text)
        found |= {f"part {field}": fact for owner, field, fact in facts if qualified(owner) == table}
    return found


def _bare(name: str) -> str:
    return name.replace('"', "")


def _short(key: str) -> str:
    """Shorten a definition's key to the name that a migration of it holds."""
    return _bare(key.partition(")")[0].split()[-1].rpartition(".")[2])


def _names(text: str, key: str) -> bool:
    return re.search(rf"\b{_short(key)}\b", text) is not None


def _additions(entity: type[Entity], added: Sequence[str], known: str) -> str:
    """Write the migration that adds definitions to a table."""
    table = qualified(entity.storekit_table.name)
    definitions = _definitions(render(entity), table)
    blocks = []
    for block in render(entity).strip().split("\n\n"):
        if block.startswith("CREATE TABLE"):
            own = [key for key in added if not key.startswith(("type ", "part "))]
            blocks += [f"ALTER TABLE {table} {_add(key, definitions[key])};" for key in own]
        elif block not in known or _manage(entity) in block:
            blocks.append(block)
    hint = "; in a table with rows a NOT NULL column needs a DEFAULT"
    return f"{hint if ' NOT NULL;' in ''.join(blocks) else ''}. The change in SQL:\n\n" + "\n".join(blocks)


def _add(key: str, definition: str) -> str:
    # A new column holds nothing to validate, and row-level security would forbid the look.
    return f"ADD {definition} NOT VALID" if key[0].isupper() else f"ADD COLUMN {definition}"


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
