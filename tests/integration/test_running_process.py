"""Processes that run while a table changes, and processes that end."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Blob, Settings, Store, StorekitError, trace
from storekit.bridge import settle
from tests.integration.evolving import TENANT, Evolving
from tests.support.adapters import APIS, opened, repository
from tests.support.entities import Note
from tests.support.harness import steps
from tests.support.note_editions import note

SWAP = """
ALTER TYPE public.notes_status RENAME TO notes_status_old;
CREATE TYPE public.notes_status AS ENUM ('draft', 'final', 'new');
ALTER TABLE public.notes ALTER status DROP DEFAULT;
ALTER TABLE public.notes ALTER status TYPE public.notes_status USING status::text::public.notes_status;
ALTER TABLE public.notes ALTER status SET DEFAULT 'draft';
DROP TYPE public.notes_status_old;
SELECT storekit.manage('public.notes');
"""


@pytest.mark.parametrize("api", APIS)
async def test_a_replaced_enum_type_stops_no_running_process(evolving: Evolving, api: str) -> None:
    """After a migration replaces the type of a column, each call of a process that runs succeeds, once."""
    kind: Any = note()
    async with opened(api, evolving.settings) as store:
        notes: Any = repository(store, TENANT, kind)
        ref_id = (await settle(notes.save(kind(title="a")))).ref_id

        titles = map(str, count())
        calls: dict[str, Any] = {
            "get": lambda: notes.get(ref_id),
            "find": lambda: notes.find({"status": "draft"}, unindexed=True),
            "count": lambda: notes.count({"status": "draft"}),
            "update": lambda: notes.update(ref_id, {"title": next(titles), "status": "draft"}),
            "save": lambda: notes.save(kind(title="d")),
        }
        for _ in range(3):  # as a busy process has done
            for call in calls.values():
                await settle(call())
        before = (await settle(notes.get(ref_id))).version
        evolving.apply(SWAP)
        for call in calls.values():
            await settle(call())
        assert (await settle(notes.get(ref_id))).version == before + 1


def _saved_elsewhere(settings: Settings, tenant: UUID) -> Note:
    """Save the same request as another process, which must not wait for a lease."""
    with Store.open(settings) as store, steps() as seen:
        records = store.scope(tenant=tenant, actor="test").repository(Note)
        saved = records.save(Note(title="x", content=Blob("content")), idempotency_key="k")
        assert seen["sleep"] == 0
        assert records.count() == 1
    return saved


def test_closing_a_store_frees_the_keys_of_its_saves(embedded: Store) -> None:
    """close() abandons a save that another thread is uploading; its key is free for another process."""
    tenant, abandoned, closers = uuid4(), threading.Event(), list[threading.Thread]()
    store = Store.open(embedded.settings)
    records = store.scope(tenant=tenant, actor="test").repository(Note)

    def close() -> None:
        with trace.listen(
            lambda name, phase: abandoned.set() if "abandon finished" in f"{name} {phase}" else None
        ):
            store.close()

    def close_during_upload(name: str, phase: str) -> None:
        if (name, phase) == ("s3.put", "started"):
            closers.append(threading.Thread(target=close))
            closers[0].start()
            assert abandoned.wait(30)

    with trace.listen(close_during_upload), pytest.raises(StorekitError):
        records.save(Note(title="x", content=Blob("content")), idempotency_key="k")
    closers[0].join()
    assert _saved_elsewhere(embedded.settings, tenant).version == 1


@pytest.mark.parametrize("step", ["postgres.stage", "s3.put", "postgres.commit"])
def test_a_loop_that_ends_frees_the_keys_of_its_saves(embedded: Store, step: str) -> None:
    """asyncio.run cancels the saves that still run when it ends; their keys are free for another process."""
    tenant, store = uuid4(), AsyncStore.open(embedded.settings)

    async def main() -> None:
        reached = asyncio.Event()
        records = store.scope(tenant=tenant, actor="test").repository(Note)
        await records.count()  # connect

        async def save() -> None:
            with trace.listen(lambda name, phase: reached.set() if name == step else None):
                await records.save(Note(title="x", content=Blob("content")), idempotency_key="k")

        saving = asyncio.create_task(save())
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait([saving, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert not saving.done()

    asyncio.run(main())
    try:
        assert _saved_elsewhere(embedded.settings, tenant).version == 1
    finally:
        asyncio.run(store.close())
