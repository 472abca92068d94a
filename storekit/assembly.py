"""Builds the drivers of a store from its settings, each at its first use. No other module builds drivers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar
from weakref import WeakSet

from storekit.errors import StorekitError, UsageError
from storekit.flows.calls import abandon
from storekit.flows.context import Context, Unresolved
from storekit.ports.stores import Blobs, Documents, Ledger, RolledBack, Runtime
from storekit.settings import Login, Settings

T = TypeVar("T")


class _Lazy(Generic[T]):
    """One driver, which is built at its first use unless it was given."""

    def __init__(self, make: Callable[[Assembly], T], given: T | None) -> None:
        self.make = make
        self.given = self.built = given


class Assembly:
    """The ports of one store. MongoDB is connected only for documents, S3 only for blobs.

    `drivers` are ready ports by name (ledger, documents, blobs, runtime), used instead of building them.
    A forked child builds its own: a connection belongs to one process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        asynchronous: bool,
        drivers: Mapping[str, Any] | None = None,
        login: Login = Login.APP,
    ) -> None:
        given = self._given = drivers or {}
        self.settings, self.asynchronous, self.login = settings, asynchronous, login
        self.unresolved = Unresolved()
        self._others: dict[Login, Assembly] = {}
        self._ledger = _Lazy[Ledger](_ledger, given.get("ledger"))
        self._documents = _Lazy[Documents](_documents, given.get("documents"))
        self._blobs = _Lazy[Blobs](_blobs, given.get("blobs"))
        self._runtime = _Lazy[Runtime](_runtime, given.get("runtime"))
        self._lock = threading.RLock()  # building the documents or blobs builds the runtime
        self._closed = False
        _assemblies.add(self)

    def opened(self) -> Self:
        """Return the assembly itself.

        Raises:
            UsageError: it is closed.
        """
        if self._closed:
            raise UsageError("the store is closed; use it inside its with block")
        return self

    def acting_as(self, login: Login) -> Assembly:
        """Return the same stores with another login to Postgres. It is closed with this one."""
        with self._lock:
            if login not in self._others:
                self._others[login] = Assembly(
                    self.settings, asynchronous=self.asynchronous, drivers=self._given, login=login
                )
            return self._others[login].opened()

    @property
    def ledger(self) -> Ledger:
        return self._ledger.built or self._build(self._ledger)

    @property
    def documents(self) -> Documents:
        return self._documents.built or self._build(self._documents)

    @property
    def blobs(self) -> Blobs:
        return self._blobs.built or self._build(self._blobs)

    @property
    def runtime(self) -> Runtime:
        return self._runtime.built or self._build(self._runtime)

    async def ready(self, *, documents: bool, blobs: bool) -> None:
        """Build the drivers of a call before it sends anything, off the event loop: clients load slowly.

        Raises:
            ConfigurationError: a setting that this call needs is missing or not valid.
        """
        wanted: list[tuple[_Lazy[Any], bool]] = [
            (self._ledger, True), (self._documents, documents), (self._blobs, blobs)
        ]  # fmt: skip
        missing = [driver for driver, needed in wanted if needed and driver.built is None]
        if missing:
            await self.runtime.blocking(lambda: [self._build(driver) for driver in missing])

    def _build(self, driver: _Lazy[T]) -> T:
        with self._lock:
            self.opened()
            if driver.built is None:
                driver.built = driver.make(self)
            return driver.built

    @property
    def _drivers(self) -> tuple[_Lazy[Any], ...]:
        """The drivers in the order in which they are closed: documents and blobs use the runtime."""
        return self._ledger, self._documents, self._blobs, self._runtime

    async def close(self) -> None:
        """Abandon the pending writes and close the drivers. Later calls raise UsageError."""
        with self._lock:
            self._closed = True
        await self._give_up()
        for driver in self._drivers:
            built, driver.built = driver.built, None
            if built is not None:
                await built.close()
        for other in self._others.values():
            await other.close()

    async def _give_up(self) -> None:
        """Abandon all pending writes, also those that other threads or tasks still work on.

        Another process can then save with their keys at once. Otherwise it would wait for their leases.
        """
        for write_id, actor in self.unresolved.close().items():
            try:
                await abandon(Context(self, actor), write_id)
            except RolledBack:
                continue
            except StorekitError:  # Postgres cannot be reached: the leases end the writes
                return

    def _reset_in_child(self) -> None:
        """Reset the assembly in a forked child, which must not use the connections of its parent."""
        self._lock = threading.RLock()  # another thread of the parent may have held the lock
        self.unresolved.forget_pending()
        inherited = [driver.built for driver in self._drivers if driver.built is not driver.given]
        for driver in self._drivers:
            driver.built = None if self._closed else driver.given
        if inherited:
            _leak(inherited)


_assemblies: WeakSet[Assembly] = WeakSet()


def _reset_all_in_child() -> None:
    for assembly in list(_assemblies):
        assembly._reset_in_child()  # noqa: SLF001  the class is in this module


def _leak(drivers: list[Any]) -> None:
    """Leak the drivers of the parent on purpose, so that a forked child never finalizes them.

    The child shares the sockets of its parent. A finalizer could send a Terminate message on a connection
    that the parent still uses, or wait for a lock or a thread that exists only in the parent. An extra
    reference keeps the finalizers from running, even when the interpreter ends.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(drivers))


os.register_at_fork(after_in_child=_reset_all_in_child)


def _ledger(assembly: Assembly) -> Ledger:
    from storekit.drivers.postgres.ledger import AsyncPostgresLedger, PostgresLedger

    make = AsyncPostgresLedger if assembly.asynchronous else PostgresLedger
    return make(assembly.settings, assembly.login)


def _documents(assembly: Assembly) -> Documents:
    from storekit.drivers.mongo.clients import ClientPerLoop, OneClient
    from storekit.drivers.mongo.connect import connect
    from storekit.drivers.mongo.documents import MongoDocuments

    settings = assembly.settings
    clients = ClientPerLoop(settings) if assembly.asynchronous else OneClient(connect(settings))
    return MongoDocuments(clients, settings.mongo_database, assembly.runtime)


def _blobs(assembly: Assembly) -> Blobs:
    from storekit.drivers.s3.blobs import S3Blobs

    return S3Blobs(assembly.settings, assembly.runtime)


def _runtime(assembly: Assembly) -> Runtime:
    from storekit.drivers.runtime import TaskRuntime, ThreadRuntime

    make = TaskRuntime if assembly.asynchronous else ThreadRuntime
    return make(assembly.settings.max_puts)
