"""A response with a record of another tenant."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from storekit import Corrupt
from storekit.testing import memory_store
from storekit.testing.stores import MemoryLedger
from tests.support.entities import ENTITIES, Run


def test_a_row_of_another_tenant_raises_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the server returns a row of another tenant, get and find raise Corrupt."""
    store, theirs, mine = memory_store(*ENTITIES), uuid4(), uuid4()
    run = store.scope(tenant=theirs, actor="test").repository(Run).save(Run(name="theirs"))
    pipeline = MemoryLedger.pipeline

    async def wrong_tenant(self: MemoryLedger, tenant: Any, *arguments: Any) -> Any:
        return await pipeline(self, theirs, *arguments)

    monkeypatch.setattr(MemoryLedger, "pipeline", wrong_tenant)
    runs = store.scope(tenant=mine, actor="test").repository(Run)
    for ask in (lambda: runs.get(run.ref_id), runs.find):
        with pytest.raises(Corrupt, match=run.ref_id):
            ask()
