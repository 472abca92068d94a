"""A store in memory: no server, no disk, nothing to clean up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from storekit import ids
from storekit.api.store import Store
from storekit.api.store_async import AsyncStore
from storekit.model.declare.entity import Entity, require_table
from storekit.model.declare.import_cursor import Position
from storekit.settings import Settings
from storekit.testing.stores import Fetched, MemoryBlobs, MemoryDocuments, MemoryLedger, State


class Memory:
    """What memory stores keep, their clock, and the far end of their URLs.

    Stores over one memory see each other's records, whatever their colour.
    """

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._state = State()
        self._state.clock = self.now
        self._documents = MemoryDocuments()
        self._blobs = MemoryBlobs(self.now)
        self.declare(Position)

    def now(self) -> datetime:
        """Tell the time of these servers."""
        return ids.now() + self._ahead

    def move_clock(self, ahead: timedelta) -> None:
        """Set the servers' clock that much ahead of the real one: documents and URLs expire by it."""
        self._ahead = ahead

    def fetch(self, url: str) -> Fetched:
        """Get what a URL of these stores points at, as a browser would."""
        return self._blobs.fetch(url)

    def declare(self, *entities: type[Entity]) -> None:
        """Make the tables of some classes."""
        tables = (require_table(entity) for entity in entities)
        self._state.tables.update((table.name, table) for table in tables)

    @property
    def drivers(self) -> dict[str, Any]:
        """The ports, for the assembly of a store."""
        return {
            "ledger": MemoryLedger(self._state),
            "documents": self._documents,
            "blobs": self._blobs,
        }


def memory_store(
    *entities: type[Entity], memory: Memory | None = None, settings: Settings | None = None
) -> Store:
    """Make a store in memory for some classes.

    Args:
        entities: the classes that it keeps, with those that they refer to.
        memory: shared with other stores; default is a fresh one.
        settings: only their limits count.
    """
    memory = memory or Memory()
    memory.declare(*entities)
    return Store(settings or Settings.model_validate({}), drivers=memory.drivers)


def async_memory_store(
    *entities: type[Entity], memory: Memory | None = None, settings: Settings | None = None
) -> AsyncStore:
    """As `memory_store`, asynchronous."""
    memory = memory or Memory()
    memory.declare(*entities)
    return AsyncStore(settings or Settings.model_validate({}), drivers=memory.drivers)
