"""The units of work that fault tests break, and the records that must be visible at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from storekit import AsyncStore, Store
from storekit.bridge import settle
from tests.faults.entities import hit, note, run
from tests.support.entities import Hit, Job, Lead

_BY_HAND = "INSERT INTO leads (number) VALUES ('by hand') ON CONFLICT DO NOTHING"
_COUNT = (
    "INSERT INTO leads AS t (number, score) VALUES ('deliveries', %s) "
    "ON CONFLICT (tenant_id, number) DO UPDATE SET score = t.score + excluded.score"
)
FEED = [f"evt_{n}" for n in range(5)]
_PAGE = 3
"""The pages that another system delivers; each page repeats the last event of the page before."""


@asynccontextmanager
async def unit(store: Store | AsyncStore, tenant: UUID, key: str | None = None) -> AsyncIterator[Any]:
    """Enter a unit of work of the sync or async API."""
    tx: Any = store.scope(tenant=tenant, actor="agent:writer").transaction(idempotency_key=key)
    if isinstance(store, AsyncStore):
        async with tx:
            yield tx
    else:
        with tx:
            yield tx


class Work:
    """The objects of a unit; running it again saves the same objects."""

    def __init__(self, store: Store | AsyncStore, tenant: UUID, key: str | None = None) -> None:
        self.store, self.tenant, self.key = store, tenant, key
        self.note, self.early, self.late = note("note"), run("early"), run("late")
        self.first, self.second = hit("first"), Hit(external_id="second")
        self.tally = Lead(number="tally", score=7)
        self.cursor: Any = store.scope(tenant=tenant, actor="agent:writer").cursor("feed")

    async def begin(self) -> Work:
        """Read the cursor; everything else is built again for each run."""
        await settle(self.cursor.read())
        return self

    @property
    def objects(self) -> list[Any]:
        return [self.note, self.early, self.late, self.first, self.second]

    async def at_once(self) -> None:
        """Save everything in the one write of a unit without SQL."""
        async with unit(self.store, self.tenant, self.key) as tx:
            tx.save_many([self.note, self.early, self.late])
            tx.insert_ignore([self.first, self.second])
            tx.upsert([self.tally])
            tx.advance(self.cursor, "1")

    async def in_flushes(self) -> None:
        """Save records with parts in a flush of their own."""
        async with unit(self.store, self.tenant, self.key) as tx:
            tx.save(self.note)
            await settle(tx.flush())
            tx.insert_ignore([self.first])
            await settle(tx.flush())
            tx.save_many([self.early, self.late])
            tx.insert_ignore([self.second])
            tx.upsert([self.tally])
            tx.advance(self.cursor, "1")

    async def with_own_sql(self) -> None:
        """Run SQL in the unit, and save records without parts afterwards."""
        async with unit(self.store, self.tenant, self.key) as tx:
            tx.save_many([self.note, self.early])
            tx.insert_ignore([self.first])
            connection = await settle(tx.connection)
            await settle(connection.execute(_BY_HAND))
            tx.save(self.late)
            tx.insert_ignore([self.second])
            await settle(tx.flush())
            tx.upsert([self.tally])
            tx.advance(self.cursor, "1")

    async def with_sql_that_counts(self) -> None:
        """Run SQL that must not run twice, so only a key makes this unit repeatable."""
        async with unit(self.store, self.tenant, self.key) as tx:
            tx.save_many([self.note, self.early])
            tx.insert_ignore([self.first])
            connection = await settle(tx.connection)
            await settle(connection.execute(_COUNT, [1]))
            tx.save(self.late)
            tx.insert_ignore([self.second])
            tx.upsert([self.tally])
            tx.advance(self.cursor, "1")

    def expected(self, *, own_sql: bool) -> list[tuple[str, str, int]]:
        """Return what an independent reader must find at the end."""
        by_hand = [("leads", "by hand=0", 1)] if own_sql else []
        return [
            ("fault_notes", "note", 1),
            ("hits", "first", 1),
            ("hits", "second", 1),
            *by_hand,
            ("leads", "tally=7", 1),
            ("runs", "early", 1),
            ("runs", "late", 1),
            ("storekit.cursor", "feed=1", 1),
        ]


KINDS: dict[str, Callable[[Work], Awaitable[None]]] = {
    "at once": Work.at_once,
    "in flushes": Work.in_flushes,
    "with own sql": Work.with_own_sql,
}


KEYED = {**KINDS, "with sql that counts": Work.with_sql_that_counts}
"""The units that are repeated by their key."""


async def claim_jobs(store: Store | AsyncStore, tenant: UUID) -> list[Job]:
    """Claim two queued jobs for five minutes."""
    jobs: Any = store.scope(tenant=tenant, actor="agent:writer").repository(Job)
    until = {"leased_until": timedelta(minutes=5)}
    taken: list[Job] = await settle(jobs.claim({"status": "queued"}, "running", 2, lease=until))
    return taken


async def import_feed(store: Store | AsyncStore, tenant: UUID) -> None:
    """Import new deliveries page by page from the stored position, and return the number of new ones."""
    scope = store.scope(tenant=tenant, actor="agent:importer")
    cursor: Any = scope.cursor("feed")
    while (read := int(await settle(cursor.read()) or 0)) < len(FEED):
        page = [hit(name) for name in FEED[max(0, read - 1) : read + _PAGE]]
        async with unit(store, tenant) as tx:
            tx.insert_ignore(page)
            connection = await settle(tx.connection)
            new = sum(each.version is not None for each in page)
            await settle(connection.execute(_COUNT, [new]))
            tx.save(run(f"page from {read}"))
            tx.advance(cursor, str(read + new))
