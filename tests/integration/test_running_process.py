"""Processes that run while a table changes."""

from __future__ import annotations

from typing import Any

import pytest

from storekit.bridge import settle
from tests.integration.evolving import TENANT, Evolving
from tests.support.adapters import APIS, opened, repository
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
    kind = note()
    async with opened(api, evolving.settings) as store:
        notes: Any = repository(store, TENANT, kind)
        ref_id = (await settle(notes.save(kind(title="a")))).ref_id

        calls = {
            "get": lambda: notes.get(ref_id),
            "find": lambda: notes.find({"status": "draft"}, unindexed=True),
            "count": lambda: notes.count({"status": "draft"}),
            "update": lambda: notes.update(ref_id, {"title": "c", "status": "draft"}),
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
