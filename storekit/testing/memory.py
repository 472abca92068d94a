"""Create stores in memory: no server, no disk, nothing to clean up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from storekit.api.store import Store
from storekit.api.store_async import AsyncStore
from storekit.model.declare.entity import require_table
from storekit.model.declare.entity_class import EntityClass
from storekit.model.declare.entity_classes import entity_classes
from storekit.model.declare.import_cursor import Position
from storekit.schema.taken_names import check_names
from storekit.settings import Settings
from storekit.testing.stores import Fetched, MemoryBlobs, MemoryDocuments, MemoryLedger, State


class Memory:
    """The records of memory stores, their clock, and the content behind their signed URLs.

    Stores that share one memory see each other's records. A sync and an async store can share one.

    Example:
        memory = Memory()
        with memory_store(Report, memory=memory) as store:
            reports = store.scope(tenant=uuid4(), actor="test").repository(Report)
            report = reports.save(Report(content=Blob("text")))
            url = reports.url(report.ref_id, "content", expires_in=60)
            assert memory.fetch(url).body == b"text"
            memory.move_clock(timedelta(seconds=61))
            assert memory.fetch(url).status == 403
    """

    def __init__(self) -> None:
        self._state = State()
        self._documents = MemoryDocuments()
        self._blobs = MemoryBlobs(self.now)
        self.declare(Position)

    def now(self) -> datetime:
        """Return the time of these stores.

        Example:
            assert memory.now() > report.created_on
        """
        return self._state.clock.now()

    def move_clock(self, ahead: timedelta) -> None:
        """Set how far the clock of these stores is ahead of the real time, for example to let documents and
        URLs expire.

        Example:
            memory.move_clock(timedelta(days=91))  # 91 days from now, not from the last call
        """
        self._state.clock.move(ahead)

    def fetch(self, url: str) -> Fetched:
        """Return what a browser would get from a URL of these stores.

        Example:
            assert memory.fetch(url).media_type == "text/plain"
        """
        return self._blobs.fetch(url)

    def declare(self, *entities: EntityClass) -> None:
        """Create the tables of more classes.

        Example:
            memory.declare(Invoice, InvoiceLine)

        Raises:
            UsageError: two of them lead to the same name in the database, such as that of a table.
        """
        classes = entity_classes(entities)
        for entity in classes:
            require_table(entity)
        check_names(classes)
        for table in map(require_table, classes):
            self._state.tables[table.name] = table
            for column in table.columns.values():
                members = [str(each.value) for each in column.enum or ()]
                self._state.members.setdefault((table.name, column.name), set()).update(members)

    @property
    def drivers(self) -> dict[str, Any]:
        """The ports that a store is assembled from."""
        return {
            "ledger": MemoryLedger(self._state),
            "documents": self._documents,
            "blobs": self._blobs,
        }


def memory_store(
    *entities: EntityClass, memory: Memory | None = None, settings: Settings | None = None
) -> Store:
    """Create a synchronous store in memory, for tests: no server, no disk, nothing to clean up.

    Cost: no I/O. It behaves like a real store, except that it runs no SQL: reports and `tx.connection` raise
    `UsageError`.

    Args:
        entities: the classes that it stores, and those that they refer to.
        memory: the records and the clock, if several stores share them. Default: a new `Memory`.
        settings: only their limits are used. Default: the default limits.

    Returns:
        The store, a context manager.

    Raises:
        UsageError: a class has no table.

    Example:
        >>> with memory_store(Article) as store:
        ...     articles = store.scope(tenant=tenant_id, actor="test").repository(Article)
        ...     saved = articles.save(Article(slug="autumn"))
        >>> saved.version
        1
    """
    memory = memory or Memory()
    memory.declare(*entities)
    return Store(settings or Settings.model_validate({}), drivers=memory.drivers)


def async_memory_store(
    *entities: EntityClass, memory: Memory | None = None, settings: Settings | None = None
) -> AsyncStore:
    """Create an asynchronous store in memory, for tests: no server, no disk, nothing to clean up.

    Cost: no I/O. It behaves like a real store, except that it runs no SQL: reports and `tx.connection` raise
    `UsageError`.

    Args:
        entities: the classes that it stores, and those that they refer to.
        memory: the records and the clock, if several stores share them. Default: a new `Memory`.
        settings: only their limits are used. Default: the default limits.

    Returns:
        The store, a context manager.

    Raises:
        UsageError: a class has no table.

    Example:
        >>> async with async_memory_store(Article) as store:
        ...     articles = store.scope(tenant=tenant_id, actor="test").repository(Article)
        ...     saved = await articles.save(Article(slug="autumn"))
        >>> saved.version
        1
    """
    memory = memory or Memory()
    memory.declare(*entities)
    return AsyncStore(settings or Settings.model_validate({}), drivers=memory.drivers)
