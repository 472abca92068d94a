"""Settings and colour to ports: the only place where drivers are built, each at its first use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from storekit.ports import Blobs, Documents, Ledger, Runtime
from storekit.settings import Settings

T = TypeVar("T")


class Assembly:
    """The ports of one store. Who declares no document never connects to MongoDB.

    `drivers` are ready ports by name (ledger, documents, blobs, runtime), used instead of building them.
    """

    def __init__(
        self, settings: Settings, *, asynchronous: bool, drivers: Mapping[str, Any] | None = None
    ) -> None:
        self.settings = settings
        self.unresolved: dict[tuple[UUID, str], UUID] = {}
        self._asynchronous = asynchronous
        self._built: dict[str, Any] = dict(drivers or {})
        self._lock = threading.Lock()

    @property
    def ledger(self) -> Ledger:
        return self._built.get("ledger") or self._build("ledger", _ledger)

    @property
    def documents(self) -> Documents:
        return self._built.get("documents") or self._build("documents", _documents)

    @property
    def blobs(self) -> Blobs:
        return self._built.get("blobs") or self._build("blobs", partial(_blobs, self.runtime))

    @property
    def runtime(self) -> Runtime:
        return self._built.get("runtime") or self._build("runtime", _runtime)

    def _build(self, name: str, make: Callable[[Settings, bool], T]) -> T:
        with self._lock:
            if name not in self._built:
                self._built[name] = make(self.settings, self._asynchronous)
            built: T = self._built[name]
            return built

    async def close(self) -> None:
        """Close what was opened."""
        while self._built:
            _, driver = self._built.popitem()
            await driver.close()


def _ledger(settings: Settings, asynchronous: bool) -> Ledger:
    from storekit.drivers.postgres.ledger import AsyncPostgresLedger, PostgresLedger

    return AsyncPostgresLedger(settings) if asynchronous else PostgresLedger(settings)


def _documents(settings: Settings, asynchronous: bool) -> Documents:
    from storekit.drivers.mongo.documents import MongoDocuments, connect

    return MongoDocuments(connect(settings, asynchronous=asynchronous), settings.mongo_database)


def _blobs(runtime: Runtime, settings: Settings, asynchronous: bool) -> Blobs:
    from storekit.drivers.s3.blobs import S3Blobs

    return S3Blobs(settings, runtime)


def _runtime(settings: Settings, asynchronous: bool) -> Runtime:
    from storekit.drivers.runtime import TaskRuntime, ThreadRuntime

    return TaskRuntime(settings.max_puts) if asynchronous else ThreadRuntime(settings.max_puts)
