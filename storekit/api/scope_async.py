"""The asynchronous scope: one tenant, one actor and what they act for."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from storekit.api.import_cursor_async import AsyncCursor
from storekit.api.repository_async import AsyncRepository
from storekit.api.transaction_async import AsyncTransaction
from storekit.assembly import Assembly
from storekit.flows.context import Actor, Context
from storekit.flows.wait_for import wait_for
from storekit.model.declare.entity import Entity

if TYPE_CHECKING:
    import psycopg

E = TypeVar("E", bound=Entity)


class AsyncScope:
    """Work with the records of one tenant, as one actor.

    `store.scope(tenant=..., actor=...)` returns it without I/O. A scope holds no connection, so you can
    create one for each request or keep it. It is safe to share between tasks.

    Example:
        >>> acme = store.scope(tenant=tenant_id, actor="user:jane")
        >>> articles = acme.repository(Article)
    """

    def __init__(self, assembly: Assembly, actor: Actor) -> None:
        self._assembly, self._context = assembly, Context(assembly, actor)

    @property
    def _opened(self) -> Context:
        self._assembly.opened()
        return self._context

    def repository(self, entity: type[E]) -> AsyncRepository[E]:
        """Return the repository of a class, which reads and writes its records.

        Cost: no I/O.

        Args:
            entity: a class derived from `Entity` with a table.

        Returns:
            The repository.

        Raises:
            UsageError: the store is closed, `entity` is not a class or has no table, or its records
                belong to tenants and this is an admin scope.

        Example:
            >>> articles = acme.repository(Article)
            >>> await articles.count()
            1
        """
        return AsyncRepository(self._opened, entity)

    def transaction(
        self,
        *,
        idempotency_key: str | None = None,
        reason: str | None = None,
        within: psycopg.AsyncConnection[Any] | None = None,
    ) -> AsyncTransaction:
        """Begin a unit of work: many records of many classes, and your own SQL, in one commit.

        Cost: no I/O now; at the end of the block the trips of one `save`.

        Args:
            idempotency_key: identifies the unit, 1 to 255 characters: units with the same key and the same
                planned operations are committed once, however often and by how many processes they are
                run. See `AsyncTransaction`. Default: no key.
            reason: a text that is stored with the events of the unit, those of your own SQL included; at
                most 4,000 characters. Default: none.
            within: a psycopg connection whose transaction the unit joins. The changes of the unit become
                visible when that transaction commits; a unit that fails undoes only its own changes. A
                connection in autocommit mode needs an open transaction; otherwise the unit begins the
                transaction, if psycopg has not begun it. Default: the unit begins and commits its own
                transaction.

        Returns:
            The unit of work, a context manager.

        Raises:
            ValidationError: the key is empty, or the key or the reason is too long or not a str.
            UsageError: the store is closed, or both a key and `within` are given. A connection that
                cannot be joined is reported at its first use.

        Example:
            >>> async with acme.transaction() as tx:
            ...     autumn = tx.save(Article(slug="autumn"))
            ...     winter = tx.save(Article(slug="winter"))
            >>> (autumn.version, winter.version)
            (1, 1)
        """
        return AsyncTransaction(self._opened, within, idempotency_key, reason)

    async def wait_for(self, target: int | datetime | Entity, *, timeout: float = 10.0) -> int:
        """Wait until the log of events has a position, is complete up to an instant, or has a record's event.

        Use it in tests, and to read through a consumer what you have written: the consumer has handled your
        change once it is past the position that this call returns.

        A task that is cancelled stops waiting.

        Cost: one Postgres trip for each look: at once, then after 5 to 250 ms.

        Args:
            target: a position; an aware datetime, to wait until no further event can have occurred at or
                before it; or a saved record, to wait for the event of its present version.
            timeout: how long to wait, in seconds. Default: 10.

        Returns:
            The last position of the log, which is at least that of the target.

        Raises:
            NotSequenced: the target was not reached in time. Retryable: call again; is a relay running?
            UsageError: the target is none of these, or the record was not saved.
            ValidationError: the datetime is naive, or the timeout is negative.
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> saved = await acme.repository(Article).save(Article(slug="autumn"))
            >>> position = await acme.wait_for(saved)
        """
        return await wait_for(self._opened, target, timeout)

    def cursor(self, name: str) -> AsyncCursor:
        """Return an import cursor, which stores how far the data of another system was imported.

        Cost: no I/O; `cursor.read()` reads it and `tx.advance(cursor, to)` moves it.

        Args:
            name: the name of the cursor, 1 to 255 characters, unique in the tenant.

        Returns:
            The cursor.

        Raises:
            ValidationError: the name is empty, too long or not a str.
            UsageError: the store is closed.

        Example:
            >>> cursor = acme.cursor("webhooks")
            >>> await cursor.read() is None
            True
        """
        return AsyncCursor(self._opened, name)
