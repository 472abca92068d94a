"""One parallel wave: every part of a write to its store, while the lease is kept alive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from storekit.errors import WriteLost
from storekit.flows.calls import Lease, renew
from storekit.flows.context import Context
from storekit.model.save.arguments import document_of
from storekit.model.save.plan import PartPlan, Plan, Write
from storekit.ports.stores import BlobPut, DocumentPut
from storekit.trace import step

_TTL_MARGIN = timedelta(hours=1)
"""Postgres forgets first: MongoDB's own expiry comes this much later."""

_LARGEST_INSERT = 4 * 1024 * 1024
"""Bytes of documents in one insert: what a batch takes beside itself while it is sent."""

Put = Callable[[], Awaitable[list[tuple[int, str | None]]]]
Progress = Callable[[int, int], None]
"""Told how many rows of a plan have all their parts in the stores, and how many rows there are."""


def nobody(done: int, total: int) -> None:
    """Tell nobody."""


async def upload(
    context: Context,
    plan: Plan,
    write: Write,
    staged: dict[str, Any],
    others: Sequence[Write] = (),
    progress: Progress = nobody,
) -> list[str | None]:
    """Put all parts at once; answer their VersionIds in the plan's order.

    Writes of the same unit that were staged before have their leases renewed with this one's.

    Raises:
        WriteLost: the lease lapsed and another took the write over.
    """
    lease = Lease.of(staged)
    blobs = [
        _blob_put(context, i, part, staged["parts"][str(write.part_ids[i])]["key"], lease, write)
        for i, part in enumerate(plan.parts)
        if part.source is not None
    ]
    documents = _document_puts(context, plan, write, staged)
    # A blob takes longest and begins first; but the few inserts, each of a whole batch, must not begin last.
    first = max(0, context.ports.settings.max_puts - len(documents))
    puts = [*blobs[:first], *documents, *blobs[first:]]

    async def beat() -> None:
        for each in others:
            await renew(context, each)  # one that was lost is lost at its commit
        reply = await renew(context, write)
        if reply["outcome"] != "renewed":
            raise WriteLost(write.write_id, "its lease lapsed during the upload")
        renewed = Lease.of(reply)
        lease.granted_on, lease.sign_until = renewed.granted_on, renewed.sign_until

    every = context.ports.settings.renew_every
    done = await context.ports.runtime.wave(puts, beat, every, _counted(plan, progress))
    versions = dict(pair for pairs in done for pair in pairs)
    return [versions[i] for i in range(len(plan.parts))]


def _counted(plan: Plan, progress: Progress) -> Callable[[list[tuple[int, str | None]]], None]:
    """Tell of each row whose last part has arrived; those without parts are there already."""
    left = Counter(part.row for part in plan.parts)
    total, waiting = len(plan.rows), len(left)

    def told(arrived: list[tuple[int, str | None]]) -> None:
        nonlocal waiting
        for i, _ in arrived:
            left[plan.parts[i].row] -= 1
            waiting -= not left[plan.parts[i].row]
        progress(total - waiting, total)

    return told


def _blob_put(context: Context, i: int, part: PartPlan, key: str, lease: Lease, write: Write) -> Put:
    async def put() -> list[tuple[int, str | None]]:
        assert part.source is not None  # noqa: S101 for the type checker
        media_type = part.media_type or "application/octet-stream"
        with step("s3.put"):
            request = BlobPut(
                key, part.source, media_type, lease.granted_on, lease.sign_until, write.write_id
            )
            return [(i, await context.ports.blobs.put(request))]

    return put


def _document_puts(context: Context, plan: Plan, write: Write, staged: dict[str, Any]) -> list[Put]:
    """Make one insert for each collection, whatever its number of documents, if they are not very large."""
    batches: dict[str, list[list[tuple[int, DocumentPut]]]] = {}
    sizes: Counter[str] = Counter()
    siblings = _by_row(plan)
    for i, part in enumerate(plan.parts):
        if part.body is not None:
            collection = str(part.spec.collection)
            document = _document(context, plan, write, staged, i, siblings[part.row])
            put = DocumentPut(collection, document, write.write_id, part.size)
            if collection not in batches or sizes[collection] + part.size > _LARGEST_INSERT:
                batches.setdefault(collection, []).append([])
                sizes[collection] = 0
            batches[collection][-1].append((i, put))
            sizes[collection] += part.size
    return [_insert(context, several) for several in batches.values()]


def _by_row(plan: Plan) -> dict[int, list[int]]:
    """List each row's parts: to look through all for every document would make a batch quadratic."""
    found: dict[int, list[int]] = {}
    for i, part in enumerate(plan.parts):
        found.setdefault(part.row, []).append(i)
    return found


def _insert(context: Context, batches: list[list[tuple[int, DocumentPut]]]) -> Put:
    """Insert one batch after the other: all at once they would fill a small server's cache."""

    async def put() -> list[tuple[int, str | None]]:
        for batch in batches:
            with step("mongo.insert"):
                await context.ports.documents.insert([document for _, document in batch])
        return [(i, None) for batch in batches for i, _ in batch]

    return put


def _document(
    context: Context, plan: Plan, write: Write, staged: dict[str, Any], i: int, siblings: Sequence[int]
) -> dict[str, Any]:
    part, row = plan.parts[i], plan.rows[plan.parts[i].row]
    expires_on = staged["parts"][str(write.part_ids[i])]["expires_on"]
    facts = {
        "links": _links(plan, write, staged, part, siblings),
        "createdOn": datetime.fromisoformat(staged["now"]),
        "expiresOn": datetime.fromisoformat(expires_on) + _TTL_MARGIN if expires_on else None,
    }
    actor = context.actor
    return document_of(part, write.part_ids[i], row, tenant=actor.tenant, actor=actor.name, staged=facts)


def _links(
    plan: Plan, write: Write, staged: dict[str, Any], part: PartPlan, siblings: Sequence[int]
) -> dict[str, Any]:
    """Tell a reader who comes by MongoDB where the sibling blobs are."""
    links = dict(part.links)
    for i in siblings:
        sibling = plan.parts[i]
        if sibling.spec.name in part.spec.links:
            key = staged["parts"][str(write.part_ids[i])]["key"]
            links[sibling.spec.name] = {"key": key, "size": sibling.size, "sha256": sibling.sha256.hex()}
    return links
