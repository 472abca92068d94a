"""The async API and event loops: several can use one store, and what takes long runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from bson.decimal128 import Decimal128

from storekit import AsyncStore, Store
from storekit.drivers.mongo import documents as driver
from storekit.flows.read import load
from storekit.model.save import documents
from storekit.model.save import load as loaded
from tests.support.entities import Everything

Threads = dict[str, set[int]]

LARGE = {"text": "x" * 100_000, "rate": Decimal("1.5")}
SMALL = {"text": "x", "rate": Decimal("1.5")}
SEAMS = {
    "encode": (documents, "encode_body"),
    "hash": (documents, "body_hash"),
    "try": (documents, "decode_document"),
    "verify": (load, "body_hash"),
    "decode": (loaded, "decode_document"),
    # pymongo comes by these two while it turns a Decimal into BSON, and back
    "to BSON": (driver, "Decimal128"),
    "from BSON": (Decimal128, "to_decimal"),
}
# a document without a declared type is not tried when it is saved, nor encoded when it is loaded
SAVED = {"encode", "hash", "to BSON"}
LOADED = {"from BSON", "verify", "decode"}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Record on which threads each piece of the work on a document runs."""
    ran: Threads = defaultdict(set)

    def recorded(piece: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            ran[piece].add(threading.get_ident())
            return work(*args)

        return call

    for piece, (owner, name) in SEAMS.items():
        monkeypatch.setattr(owner, name, recorded(piece, getattr(owner, name)))
    return ran


@pytest.fixture
async def repository(embedded: Store) -> AsyncIterator[Any]:
    async with AsyncStore.open(embedded.settings) as store:
        yield store.scope(tenant=uuid4(), actor="user:tester").repository(Everything)


async def test_large_documents_do_not_hold_up_the_event_loop(repository: Any, threads: Threads) -> None:
    """No large document is encoded, hashed or decoded on the event loop's thread, by save, update or get."""
    saved = await repository.save(Everything(doc=LARGE))
    _expect(threads, SAVED, loop=False)
    await repository.update(saved.ref_id, {"doc": LARGE | {"more": 1}})
    _expect(threads, SAVED, loop=False)
    assert (await repository.get(saved.ref_id, load=["doc"])).doc == LARGE | {"more": 1}
    _expect(threads, LOADED, loop=False)


async def test_small_documents_are_loaded_without_a_thread(repository: Any, threads: Threads) -> None:
    """get decodes and checks a small document on the event loop's thread: a hop would cost as much."""
    saved = await repository.save(Everything(doc=SMALL))
    threads.clear()
    assert (await repository.get(saved.ref_id, load=["doc"])).doc == SMALL
    _expect(threads, LOADED, loop=True)


def _expect(threads: Threads, work: set[str], *, loop: bool) -> None:
    """Expect that exactly this work was done since the last time, all of it on the loop's thread or none."""
    here = threading.get_ident()
    on_loop = {piece for piece, ran in threads.items() if here in ran}
    aside = {piece for piece, ran in threads.items() if ran - {here}}
    threads.clear()
    assert (on_loop, aside) == ((work, set()) if loop else (set(), work))


def test_one_store_serves_several_event_loops(embedded: Store) -> None:
    """One AsyncStore saves and loads documents in one event loop after another, and in several at once."""
    store = AsyncStore.open(embedded.settings)

    async def job() -> None:
        repository = store.scope(tenant=uuid4(), actor="user:tester").repository(Everything)
        # more collections and records than a store uploads at once, so that uploads wait for each other
        saved = await repository.save_many([Everything(doc=SMALL, text=str(n)) for n in range(3)])
        for each in saved:
            assert (await repository.get(each.ref_id, load=["doc"])).doc == SMALL

    for _ in range(2):
        asyncio.run(job())
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(asyncio.run, job()) for _ in range(2)]:
            done.result()
    asyncio.run(store.close())
