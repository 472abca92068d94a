"""Errors leak no connection: a store with two connections still works after four errors of every kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import (
    AsyncStore,
    Conflict,
    ConstraintViolation,
    IdempotencyConflict,
    NotFound,
    OutcomeUnknown,
    Store,
    Unavailable,
    UsageError,
)
from storekit.bridge import settle
from storekit.ids import new_id, new_ref_id
from storekit.testing.faults import InjectedError, Point, at, fail
from tests.faults.entities import Note, note, run
from tests.faults.servers import Servers
from tests.faults.wire import Wire, wired
from tests.support.adapters import APIS, opened, repository, save
from tests.support.entities import Hit

_TIMES = 4
"""More errors than the store has connections."""


class _Errors:
    """Causes an error of each kind in a store."""

    def __init__(self, wire: Wire, store: Store | AsyncStore, tenant: UUID, saved: Note) -> None:
        self._wire, self._store, self._tenant, self._saved = wire, store, tenant, saved
        self._notes: Any = repository(store, tenant, Note)

    async def conflict(self) -> None:
        await settle(self._notes.update(self._saved.ref_id, {"title": "late"}, expected_version=7))

    async def not_found(self) -> None:
        await settle(self._notes.get(new_ref_id()))

    async def used_key(self) -> None:
        await save(self._store, self._tenant, [note("other")], "key")

    async def constraint(self) -> None:
        await save(self._store, self._tenant, [Hit(external_id="of an unknown lead", lead_id=new_id())])

    async def usage(self) -> None:
        await settle(self._notes.url(self._saved.ref_id, "details"))

    async def injected(self) -> None:
        with at(Point("after", "postgres.stage", 1), fail):
            await save(self._store, self._tenant, [note("injected")])

    async def unavailable(self) -> None:
        with at(Point("before", "s3.put", 1), lambda: self._wire.s3.cut("to_client")):
            await self._healed(save(self._store, self._tenant, [note("cut")]))

    async def unknown(self) -> None:
        with at(Point("before", "postgres.commit", 1), lambda: self._wire.postgres.cut("to_server")):
            await self._healed(save(self._store, self._tenant, [run("cut")]))

    async def _healed(self, saving: Awaitable[Any]) -> None:
        try:
            await saving
        finally:
            self._wire.heal()
            # the pool replaces a broken connection in the background; the next error needs one to break
            await settle(self._notes.get(self._saved.ref_id))


_KINDS: dict[Callable[[_Errors], Awaitable[None]], type[Exception]] = {
    _Errors.conflict: Conflict,
    _Errors.not_found: NotFound,
    _Errors.used_key: IdempotencyConflict,
    _Errors.constraint: ConstraintViolation,
    _Errors.usage: UsageError,
    _Errors.injected: InjectedError,
    _Errors.unavailable: Unavailable,
    _Errors.unknown: OutcomeUnknown,
}


@pytest.mark.parametrize("api", APIS)
async def test_errors_leak_no_connection(servers: Servers, api: str) -> None:
    """No error of any kind costs a connection for good."""
    tenant = uuid4()
    with wired(servers.settings, pool_size=2, timeout=timedelta(seconds=8)) as wire:
        async with opened(api, wire.settings) as store:
            (saved,) = await save(store, tenant, [note("first")], "key")
            errors = _Errors(wire, store, tenant, saved)
            for meet, kind in _KINDS.items():
                for _ in range(_TIMES):
                    with pytest.raises(kind):
                        await meet(errors)
            await save(store, tenant, [run("served")])
            assert (await settle(repository(store, tenant, Note).get(saved.ref_id))).title == "first"
    assert sorted(servers.reader.titles(tenant)) == ["first", "served"]
