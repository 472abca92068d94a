"""Documents of several collections are read concurrently."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import uuid4

import pytest

from storekit.testing import Memory, async_memory_store, memory_store
from storekit.testing.stores import MemoryDocuments
from tests.support.entities import ENTITIES, Lead

LOAD, LONGEST = ["notes", "letter"], 10
fetch = MemoryDocuments.fetch


def saved(memory: Memory) -> tuple[Any, str]:
    """Save a lead with documents in two collections, and return its tenant and ref_id."""
    tenant = uuid4()
    leads = memory_store(*ENTITIES, memory=memory).scope(tenant=tenant, actor="test").repository(Lead)
    return tenant, leads.save(Lead(number="1", notes={"n": 1}, letter={"l": 1})).ref_id


def test_threads_read_collections_concurrently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read waits until the other has begun, in get and in find."""
    memory = Memory()
    tenant, ref_id = saved(memory)
    both = threading.Barrier(2)

    async def fetch_together(self: MemoryDocuments, *arguments: Any) -> Any:
        both.wait(LONGEST)
        return await fetch(self, *arguments)

    monkeypatch.setattr(MemoryDocuments, "fetch", fetch_together)
    leads = memory_store(*ENTITIES, memory=memory).scope(tenant=tenant, actor="test").repository(Lead)
    for lead in (leads.get(ref_id, load=LOAD), *leads.find(load=LOAD)):
        assert (lead.notes, lead.letter) == ({"n": 1}, {"l": 1})


async def test_tasks_read_collections_concurrently(monkeypatch: pytest.MonkeyPatch) -> None:
    """The async API reads them in the same way."""
    memory = Memory()
    tenant, ref_id = saved(memory)
    both = asyncio.Barrier(2)

    async def fetch_together(self: MemoryDocuments, *arguments: Any) -> Any:
        async with asyncio.timeout(LONGEST):
            await both.wait()
        return await fetch(self, *arguments)

    monkeypatch.setattr(MemoryDocuments, "fetch", fetch_together)
    leads = async_memory_store(*ENTITIES, memory=memory).scope(tenant=tenant, actor="test").repository(Lead)
    for lead in (await leads.get(ref_id, load=LOAD), *await leads.find(load=LOAD)):
        assert (lead.notes, lead.letter) == ({"n": 1}, {"l": 1})
