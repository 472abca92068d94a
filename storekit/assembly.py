"""Builds the drivers of a store from its settings, each at its first use. No other module builds drivers."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar
from weakref import WeakSet

from storekit.errors import StorekitError, UsageError
from storekit.flows.calls import abandon
from storekit.flows.context import NIL, Actor, Context, Unresolved
from storekit.flows.sequence import Pause, Sequencer
from storekit.ports.stores import Background, Blobs, Documents, Ledger, RolledBack, Runtime
from storekit.settings import Login, Settings

T = TypeVar("T")


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


class _Driver(Generic[T]):
    """An attribute of an assembly that is built at its first use.

    It is then stored in the dict of the assembly, so that later uses find it there and call no function.
    """

    def __init__(self, make: Callable[[Assembly], T]) -> None:
        self.make = make

    def __set_name__(self, owner: type[Assembly], name: str) -> None:
        self._name = name

    def __get__(self, assembly: Assembly, owner: type[Assembly]) -> T:
        with assembly.lock:
            built = vars(assembly.opened())
            if self._name not in built:
                built[self._name] = self.make(assembly)
            driver: T = built[self._name]
            return driver


class Assembly:
    """The ports of one store. MongoDB is connected only for documents, S3 only for blobs.

    `drivers` are ready ports by name (ledger, documents, blobs, runtime), used instead of building them.
    A forked child builds its own: a connection belongs to one process.
    """

    ledger = _Driver[Ledger](_ledger)
    documents = _Driver[Documents](_documents)
    blobs = _Driver[Blobs](_blobs)
    runtime = _Driver[Runtime](_runtime)

    def __init__(
        self,
        settings: Settings,
        *,
        asynchronous: bool,
        drivers: Mapping[str, Any] | None = None,
        login: Login = Login.APP,
    ) -> None:
        self._given = drivers or {}
        self.settings, self.asynchronous, self.login = settings, asynchronous, login
        self.unresolved = Unresolved()
        self._others: dict[Login, Assembly] = {}
        self._relays: list[Background] = []
        self.lock = threading.RLock()  # building the documents or blobs builds the runtime
        self._closed = False
        vars(self).update(self._given)
        _assemblies.add(self)

    def opened(self) -> Self:
        """Return the assembly itself.

        Raises:
            UsageError: it is closed.
        """
        if self._closed:
            raise UsageError("the store is closed; use it inside its with block")
        return self

    @property
    def in_memory(self) -> bool:
        """Whether no server is used, because all drivers were given."""
        return {"ledger", "documents", "blobs"} <= self._given.keys()

    def acting_as(self, login: Login) -> Assembly:
        """Return the same stores with another login to Postgres. It is closed with this one."""
        with self.lock:
            if login not in self._others:
                other = Assembly(
                    self.settings, asynchronous=self.asynchronous, drivers=self._given, login=login
                )
                other._relays = self._relays  # a commit of the admin wakes them too
                self._others[login] = other
            return self._others[login].opened()

    def begin_relay(self) -> Background:
        """Begin to move events, in a thread or task of its own. `end_relay` or `close` ends it."""
        few = self.settings.model_copy(update={"pool_min": 1, "pool_size": 2})  # it uses one connection
        worker = Assembly(few, asynchronous=self.asynchronous, drivers=self._given, login=Login.WORKER)
        _ = worker.ledger  # a missing setting is reported now
        context = Context(worker, Actor(NIL, "relay"))
        holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

        async def job(pause: Pause, stopped: Callable[[], bool]) -> None:
            try:
                await Sequencer(context, holder, pause, stopped).run()
            finally:
                await worker.close()

        relay = self.opened().runtime.background(job)
        self._relays.append(relay)
        return relay

    async def end_relay(self, relay: Background) -> None:
        """Stop a relay, which ends its lease. Does nothing if it was stopped before."""
        if relay in self._relays:
            self._relays.remove(relay)
            await relay.stop()

    def committed(self) -> None:
        """Wake the relays of this process."""
        for relay in self._relays:
            relay.wake()

    async def ready(self, *, documents: bool, blobs: bool) -> None:
        """Build the drivers of a call before it sends anything, off the event loop: clients load slowly.

        Raises:
            ConfigurationError: a setting that this call needs is missing or not valid.
        """
        wanted = {"ledger": True, "documents": documents, "blobs": blobs}
        missing = [name for name, needed in wanted.items() if needed and name not in vars(self)]
        if missing:
            await self.runtime.blocking(lambda: [getattr(self, name) for name in missing])

    async def close(self) -> None:
        """Abandon the pending writes and close the drivers. Later calls raise UsageError."""
        with self.lock:
            self._closed = True
        await self._give_up()
        for relay in [*self._relays]:
            await self.end_relay(relay)
        for name in _DRIVERS:
            if (driver := vars(self).pop(name, None)) is not None:
                await driver.close()
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
        self.lock = threading.RLock()  # another thread of the parent may have held the lock
        self.unresolved.forget_pending()
        self._relays.clear()  # their threads exist only in the parent
        built = {name: vars(self).pop(name) for name in _DRIVERS if name in vars(self)}
        if not self._closed:
            vars(self).update(self._given)
        inherited = [driver for name, driver in built.items() if driver is not self._given.get(name)]
        if inherited:
            _leak(inherited)


_DRIVERS = "ledger", "documents", "blobs", "runtime"
"""The drivers in the order in which they are closed: documents and blobs use the runtime."""
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
