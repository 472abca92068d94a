"""Closed stores."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import uuid4

import pytest

from storekit import AsyncStore, ConfigurationError, Settings, Store, UsageError
from storekit.assembly import Assembly
from storekit.bridge import run
from storekit.testing import async_memory_store, memory_store
from tests.support.entities import Note, Run

_NOWHERE = Settings.model_validate({"postgres_url": "postgresql://u@127.0.0.1:1/d"})


@pytest.mark.parametrize("make", [lambda: memory_store(Note, Run), lambda: Store.open(_NOWHERE)])
def test_a_closed_store_refuses_calls(make: Any) -> None:
    """Old and new scopes and repositories of a closed store raise UsageError without I/O."""
    with make() as store:
        scope = store.scope(tenant=uuid4(), actor="test")
        runs = scope.repository(Run)
    for use in (
        lambda: store.scope(tenant=uuid4(), actor="test"),
        lambda: scope.repository(Run),
        lambda: runs.save(Run(name="late")),
        lambda: runs.get("0" * 26),
        store.migrate,
    ):
        with pytest.raises(UsageError, match="the store is closed; use it inside its with block"):
            use()
    store.close()


@pytest.mark.parametrize("make", [lambda: async_memory_store(Note, Run), lambda: AsyncStore.open(_NOWHERE)])
async def test_a_closed_async_store_refuses_calls(make: Any) -> None:
    """The async store behaves like the sync store."""
    async with make() as store:
        scope = store.scope(tenant=uuid4(), actor="test")
        runs = scope.repository(Run)
    with pytest.raises(UsageError, match="the store is closed"):
        store.scope(tenant=uuid4(), actor="test")
    with pytest.raises(UsageError, match="the store is closed"):
        scope.repository(Run)
    with pytest.raises(UsageError, match="the store is closed"):
        await runs.save(Run(name="late"))
    with pytest.raises(UsageError, match="the store is closed"):
        await store.migrate()
    await store.close()


@pytest.mark.parametrize("url", ["mongodb://u:hun/ter2@h", "http://u:ter2@h", "mongodb://u:hun@ter2@h:port"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_invalid_mongo_url_raises_configuration_error(url: str, asynchronous: bool) -> None:
    """`ready` raises ConfigurationError with MONGO_URL and without the URL."""
    settings = Settings.model_validate({"mongo_url": url})
    assembly = Assembly(settings, asynchronous=asynchronous, drivers={"ledger": object()})
    with pytest.raises(ConfigurationError, match="MONGO_URL") as caught:
        _ready(assembly, asynchronous)
    assert "ter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_drivers_are_built_outside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers are built once, in threads of the runtime, because importing their clients blocks."""
    built: list[str] = []

    def documents(assembly: Assembly) -> object:
        built.append(threading.current_thread().name)
        return object()

    monkeypatch.setattr(vars(Assembly)["documents"], "make", documents)
    assembly = Assembly(_NOWHERE, asynchronous=True, drivers={"ledger": object()})
    _ready(assembly, asynchronous=True)
    _ready(assembly, asynchronous=True)
    assert len(built) == 1
    assert built[0].startswith("storekit")


def _ready(assembly: Assembly, asynchronous: bool) -> None:
    ready = assembly.ready(documents=True, blobs=False)
    if asynchronous:
        asyncio.run(ready)
    else:
        run(ready)
