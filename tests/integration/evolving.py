"""A line of migrations that follows classes, on a real database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from pydantic import SecretStr

from storekit import Entity, Settings
from storekit.deploy.evolve import compare, next_files
from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.schema.diff import Difference
from storekit.schema.lines import Line, core
from storekit.schema.lint import lint
from tests.support.note_editions import Author, Plan, note
from tests.support.postgres import MEMBERS, Database, copy_database

TENANT = UUID(int=7)


@dataclass(frozen=True)
class Evolving:
    """A database and the directory of its line `app`."""

    database: Database
    directory: Path

    @property
    def line(self) -> Line:
        """Return the user's own line."""
        return Line("app", self.directory)

    @property
    def settings(self) -> Settings:
        """Return the settings of admin and app."""
        admin, app = (SecretStr(self.database.url(login)) for login in ("admin", "app"))
        return Settings(postgres_admin_url=admin, postgres_url=app)

    def migrate(self) -> None:
        """Apply pending migrations."""
        migrate(self.database.url("admin"), [core(), self.line])

    def differences(self, *entities: type[Entity]) -> list[Difference]:
        """Compare the classes with the database."""
        return compare(self.settings, entities, self.line)

    def described(self, *entities: type[Entity]) -> list[str]:
        """Return the text of each difference."""
        return [str(each) for each in self.differences(*entities) if each.weight != "remark"]

    def write(self, differing: Sequence[Difference]) -> str:
        """Write the next files, check that only undecided changes fail the linter, and return their text."""
        past = [path.read_text() for path in sorted(self.directory.iterdir())]
        written = next_files(self.directory, differing)
        for path, text in written.items():
            path.write_text(text)
        found = lint([*past, *written.values()])[len(past) :]
        assert {finding.rule for findings in found for finding in findings} <= {"undecided"}, found
        return "\n".join(written.values())

    def follow(self, *entities: type[Entity]) -> str:
        """Write and apply the next files, if something differs, then check that nothing does any more."""
        found = self.differences(*entities)
        if text := self.write(found):
            self.migrate()
            found = self.differences(*entities)
        assert not [str(each) for each in found if each.weight != "remark"]
        assert next_files(self.directory, found) == {}
        return text

    def apply(self, text: str) -> None:
        """Write and apply a hand-written migration."""
        number = len([*self.directory.iterdir()]) + 1
        (self.directory / f"{number:04}_by_hand.sql").write_text(text)
        self.migrate()

    def insert(self, table: str, **values: Any) -> UUID:
        """Insert a row as the superuser, and return its id."""
        with self.database.connect("postgres") as connection, connection.transaction():
            connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(TENANT)])
            names = ", ".join(f'"{name}"' for name in values)
            marks = ", ".join(["%s"] * len(values))
            into = f"({names}) VALUES ({marks})" if values else "DEFAULT VALUES"
            query = f"INSERT INTO {table} {into} RETURNING id"
            row = connection.execute(query.encode(), list(values.values())).fetchone()
        assert row is not None
        found: UUID = row[0]
        return found

    def refuses(self, table: str, **values: Any) -> type[psycopg.Error] | None:
        """Try to insert a row as the superuser and return the error message, if any."""
        try:
            self.insert(table, **values)
        except psycopg.Error as error:
            return type(error)
        return None


def start(database: Database, directory: Path) -> Evolving:
    """Create the tables of authors, plans and notes, and a note."""
    directory.mkdir()
    made = Evolving(database, directory)
    made.migrate()
    grant(database.url("admin"), MEMBERS)  # for all databases of the cluster
    made.follow(Author, Plan, note())
    made.insert("notes", title="first", token="t")
    return made


@contextmanager
def copied(original: Evolving, directory: Path) -> Iterator[Evolving]:
    """Copy a database and its line for one test."""
    name = f"t{uuid4().hex}"
    shutil.copytree(original.directory, directory)
    with psycopg.connect(original.database.super_url, autocommit=True) as connection:
        copy_database(connection, original.database.name, name)
        copy = Evolving(Database(original.database.super_url, name), directory)
        copy.migrate()  # a copy lacks the grants on the database itself
        connection.execute(f"GRANT CONNECT ON DATABASE {name} TO app, worker, auditor".encode())
        yield copy
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
