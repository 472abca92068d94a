"""close() while a call that another writer overtook keeps its uploaded parts for the next attempt."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from storekit import AsyncStore, Blob, StorekitError, trace
from tests.contract.test_overtaken import overtaken, rewrite
from tests.support.entities import Sheet
from tests.support.harness import Harness, steps


def own_store(harness: Harness) -> Harness:
    """Return the harness with a store that may be closed: that of the servers serves other tests too."""
    if harness.store.settings.postgres_url is None:
        return harness
    return replace(harness, store=type(harness.store).open(harness.store.settings))


async def test_close_abandons_the_kept_parts(harness: Harness) -> None:
    """close() between two attempts abandons the write with the uploaded parts; the call raises an error and
    commits nothing, and another process can use its key at once."""
    mine = own_store(harness)
    sheets = harness.repository(Sheet)
    await sheets.upsert([Sheet(path="a", chart=Blob(b"old"), caption={"a": 0})])
    closing: list[Any] = []

    def close(name: str, phase: trace.Phase) -> None:
        if (name, phase) == ("sleep", "started") and not closing:
            closing.append(mine.store)
            if isinstance(mine.store, AsyncStore):
                closing.append(asyncio.ensure_future(mine.store.close()))
            else:
                mine.store.close()

    def upsert(tx: Any) -> None:
        tx.upsert([Sheet(path="a", n=9, chart=Blob(b"new"))])

    with overtaken(harness, rewrite, times=1), trace.listen(close), steps() as seen:
        with pytest.raises(StorekitError, match=r"the store is closed|was lost"):
            await mine.work(upsert, idempotency_key="k")
        if len(closing) > 1:
            await closing[1]
    assert (seen["s3.put"], seen["postgres.stage"], seen["postgres.abandon"]) == (1, 1, 1)
    assert harness.rival
    scope = harness.rival.scope(tenant=harness.tenant, actor="agent:rival")
    (found,) = scope.repository(Sheet).find({"path": "a"})
    assert (found.n, found.version) == (-1, 2)
    with steps() as after, scope.transaction(idempotency_key="k") as tx:
        upsert(tx)
    assert (after["sleep"], tx.replayed) == (0, False)
    assert scope.repository(Sheet).read(found.ref_id, "chart") == b"new"
