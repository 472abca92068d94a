"""The synchronous API: each method is one flow, driven to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from storekit.assembly import Assembly
from storekit.bridge import run
from storekit.cursor import Cursor
from storekit.errors import UsageError
from storekit.flows.context import Actor
from storekit.flows.lookup import Found, lookup
from storekit.flows.report import report
from storekit.lines import Line, Migration
from storekit.model.entity import Entity, require_table
from storekit.repository import Repository
from storekit.settings import Login, Settings
from storekit.setup import migrate
from storekit.transaction import Transaction

if TYPE_CHECKING:
    import psycopg

    from storekit.hosting import Hosting

E = TypeVar("E", bound=Entity)


class Store:
    """The three stores as one. Thread-safe; every server is connected at its first use."""

    def __init__(
        self,
        settings: Settings | None,
        hosting: Hosting | None = None,
        drivers: Mapping[str, Any] | None = None,
    ) -> None:
        self._hosting = hosting
        self._assembly = Assembly(settings, asynchronous=False, drivers=drivers) if settings else None

    @classmethod
    def open(cls, settings: Settings | None = None) -> Self:
        """Open the stores that the settings, or else the environment, name. No I/O."""
        return cls(settings or Settings.from_env())

    @classmethod
    def embedded(cls, path: str | PathLike[str], entities: Iterable[type[Entity]] = ()) -> Self:
        """Use real servers that run in a directory, started on enter and stopped with their last user.

        Args:
            path: holds all data; a restart keeps it.
            entities: their tables are rendered as migration files under `path` and applied.

        Raises (on enter):
            ConfigurationError: what the servers need is missing; the message names the remedy.
        """
        from storekit.hosting import Hosting

        return cls(None, Hosting(Path(path), list(entities)))

    def __enter__(self) -> Self:
        if self._hosting is not None and self._assembly is None:
            self._assembly = Assembly(self._hosting.start(), asynchronous=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; embedded servers stop when this was their last user."""
        if self._assembly is not None:
            run(self._assembly.close())
        if self._hosting is not None:
            self._hosting.stop()
            self._assembly = None

    def scope(self, *, tenant: UUID | str | None, actor: str) -> Scope:
        """Say for whom and as whom: the only place for tenant and actor. No I/O.

        Raises:
            TenantRequired: there is no tenant.
            UsageError: the store is closed, or there is no actor.
        """
        return Scope(self._ports.opened(), Actor.of(tenant, actor))

    def admin(self, *, actor: str) -> Scope:
        """Act on global records: those of classes with scope="global", which all tenants read. No I/O.

        Raises:
            ConfigurationError (on use): POSTGRES_ADMIN_URL is not set.
        """
        return Scope(self._ports.opened().acting_as(Login.ADMIN), Actor.of_admin(actor))

    def lookup(self, entity: type[Entity], value: str) -> Found | None:
        """Find a record by its `lookup()` field before its tenant is known: a session by its token's digest.

        Cost: one Postgres trip of one indexed look-up.

        Returns:
            Its tenant and ref_id; None when there is no such record, or more than one.
        """
        return run(lookup(self._ports.opened(), require_table(entity), value))

    def report(self, name: str, *, actor: str) -> list[dict[str, Any]]:
        """Read a view of schema `report`, over all tenants; who read it is an event. One Postgres trip.

        Raises:
            ConfigurationError: POSTGRES_REPORTER_URL is not set.
            UsageError: there is no such report.
        """
        return run(report(self._ports.opened().acting_as(Login.REPORTER), name, Actor.of_admin(actor)))

    def migrate(
        self, lines: Sequence[Line] = (), *, to: tuple[str, int] | None = None, dry_run: bool = False
    ) -> list[Migration]:
        """Apply pending migrations, then create bucket, collections and TTL indexes. Repeatable.

        Args:
            to: the line and number to stop after.
            dry_run: change nothing.

        Returns:
            The migrations that were applied, or would be.

        Raises:
            ConfigurationError: POSTGRES_ADMIN_URL is not set, or a server is not as it must be.
            UsageError: `to` names no file.
        """
        return migrate(self._ports.opened().settings, lines, to=to, dry_run=dry_run)

    @property
    def settings(self) -> Settings:
        """Where the stores are."""
        return self._ports.settings

    @property
    def _ports(self) -> Assembly:
        if self._assembly is None:
            raise UsageError("enter the embedded store first: with Store.embedded(path) as store")
        return self._assembly


class Scope:
    """A tenant and an actor. Thread-safe; costs nothing."""

    def __init__(self, ports: Assembly, actor: Actor) -> None:
        self._ports, self._actor = ports, actor

    def repository(self, entity: type[E]) -> Repository[E]:
        """Work with the records of one class. No I/O."""
        return Repository(self._ports.opened(), self._actor, entity)

    def transaction(self, *, within: psycopg.Connection[Any] | None = None) -> Transaction:
        """Work on many records of many classes in one commit: `with scope.transaction() as tx`. No I/O.

        Cost at its end: the trips of one `save`, whatever it holds; with SQL of your own in between, one to
        begin, yours, one to commit, and one that clears the connection of what yours has set for its session.
        A connection is taken only once `tx.connection` is used.

        Args:
            within: a psycopg connection whose transaction the unit joins; its commit makes the unit visible.

        Raises (at its end):
            Conflict, NotFound, ConstraintViolation, ...: as for `save`; nothing is visible.
            Unavailable: nothing is visible. Retryable: run the whole block again.
            OutcomeUnknown: saving the same objects again learns the outcome first.
        """
        return Transaction(self._ports.opened(), self._actor, within)

    def cursor(self, name: str) -> Cursor:
        """Remember how far another system was read: `tx.advance(cursor, to)` moves it in a unit. No I/O.

        Raises:
            ValidationError: a name that is no text of 1 to 255 characters.
        """
        return Cursor(self._ports.opened(), self._actor, name)
