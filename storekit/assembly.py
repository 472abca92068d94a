"""Settings and colour to ports: the only place where drivers are built, each at its first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self, TypeVar
from uuid import UUID
from weakref import WeakSet

from storekit.errors import UsageError
from storekit.ports.stores import Blobs, Documents, Ledger, Runtime
from storekit.settings import Settings

T = TypeVar("T")


class Assembly:
    """The ports of one store. Who declares no document never connects to MongoDB.

    `drivers` are ready ports by name (ledger, documents, blobs, runtime), used instead of building them.
    A forked child builds its own: a connection speaks for one process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        asynchronous: bool,
        drivers: Mapping[str, Any] | None = None,
        login: str = "app",
    ) -> None:
        self.settings = settings
        self._login = login
        self._others: dict[str, Assembly] = {}
        self.unresolved: dict[tuple[UUID, str], UUID] = {}
        self._asynchronous = asynchronous
        self._given = dict(drivers or {})
        self._built: dict[str, Any] = dict(self._given)
        self._lock = threading.Lock()
        self._closed = False
        _assemblies.add(self)

    def opened(self) -> Self:
        """Answer itself, unless it was closed.

        Raises:
            UsageError: it was closed.
        """
        if self._closed:
            raise UsageError("the store is closed; use it inside its with block")
        return self

    def acting_as(self, login: str) -> Assembly:
        """The same stores with another login to Postgres, closed with this one."""
        with self._lock:
            if login not in self._others:
                self._others[login] = Assembly(
                    self.settings, asynchronous=self._asynchronous, drivers=self._given, login=login
                )
            return self._others[login].opened()

    @property
    def ledger(self) -> Ledger:
        return self._built.get("ledger") or self._build("ledger", partial(_ledger, self._login))

    @property
    def documents(self) -> Documents:
        return self._built.get("documents") or self._build("documents", partial(_documents, self.runtime))

    @property
    def blobs(self) -> Blobs:
        return self._built.get("blobs") or self._build("blobs", partial(_blobs, self.runtime))

    @property
    def runtime(self) -> Runtime:
        return self._built.get("runtime") or self._build("runtime", _runtime)

    async def ready(self, *, documents: bool, blobs: bool) -> None:
        """Build the drivers of a call before it sends anything, off the event loop: clients load slowly.

        Raises:
            ConfigurationError: a setting that this call needs is missing or cannot be used.
        """
        wanted = {"ledger": True, "documents": documents, "blobs": blobs}
        missing = [name for name, needed in wanted.items() if needed and name not in self._built]
        if missing:
            await self.runtime.blocking(lambda: [getattr(self, name) for name in missing])

    def _build(self, name: str, make: Callable[[Settings, bool], T]) -> T:
        with self._lock:
            self.opened()
            if name not in self._built:
                self._built[name] = make(self.settings, self._asynchronous)
            built: T = self._built[name]
            return built

    async def close(self) -> None:
        """Close what was opened; whoever uses it afterwards is told so."""
        with self._lock:
            self._closed = True
        while self._built:
            _, driver = self._built.popitem()
            await driver.close()
        for other in self._others.values():
            await other.close()

    def _begin_anew(self) -> None:
        """Let a forked child build drivers of its own, and never touch its parent's."""
        inherited, self._built = self._built, {} if self._closed else dict(self._given)
        self._lock = threading.Lock()  # a thread that is not here may have held it
        if inherited.keys() > self._given.keys():
            _keep_for_ever(inherited)


_assemblies: WeakSet[Assembly] = WeakSet()


def _begin_anew_in_child() -> None:
    for assembly in list(_assemblies):
        assembly._begin_anew()  # noqa: SLF001  one module, one idea


def _keep_for_ever(drivers: dict[str, Any]) -> None:
    """Keep drivers from being finalized, even as the interpreter ends.

    A finalizer may say good-bye on a socket that the parent still uses, or wait for a lock or a thread
    that was left behind in the parent.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(drivers))


os.register_at_fork(after_in_child=_begin_anew_in_child)


def _ledger(login: str, settings: Settings, asynchronous: bool) -> Ledger:
    from storekit.drivers.postgres.ledger import AsyncPostgresLedger, PostgresLedger

    return AsyncPostgresLedger(settings, login) if asynchronous else PostgresLedger(settings, login)


def _documents(runtime: Runtime, settings: Settings, asynchronous: bool) -> Documents:
    from storekit.drivers.mongo.documents import MongoDocuments, connect

    client = connect(settings, asynchronous=asynchronous)
    return MongoDocuments(client, settings.mongo_database, runtime)


def _blobs(runtime: Runtime, settings: Settings, asynchronous: bool) -> Blobs:
    from storekit.drivers.s3.blobs import S3Blobs

    return S3Blobs(settings, runtime)


def _runtime(settings: Settings, asynchronous: bool) -> Runtime:
    from storekit.drivers.runtime import TaskRuntime, ThreadRuntime

    return TaskRuntime(settings.max_puts) if asynchronous else ThreadRuntime(settings.max_puts)
