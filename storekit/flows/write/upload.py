"""One parallel wave: upload every part of a write to its store while the write's lease is kept alive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from storekit.errors import WriteLost
from storekit.flows.calls import renew
from storekit.flows.context import Context
from storekit.flows.replies import Lease, Staged
from storekit.model.save.plan import PartPlan, Plan, Write
from storekit.ports.stores import BlobPut, DocumentPut
from storekit.trace import step

_TTL_MARGIN = timedelta(hours=1)
"""MongoDB deletes a document this long after its expiry, so that Postgres reports it as expired first."""

_LARGEST_INSERT = 4 * 1024 * 1024
"""Maximum bytes of documents in one insert, which is also the extra memory that an insert needs."""

Arrived = list[tuple[int, str | None]]
"""The positions of parts that are in their store, with the version of each blob."""
Put = Callable[[], Awaitable[Arrived]]
Progress = Callable[[int, int], None]
"""Called with the number of a plan's rows whose parts are all uploaded, and the number of all its rows."""


async def upload(
    context: Context,
    write: Write,
    staged: Staged,
    others: Sequence[Write] = (),
    progress: Progress | None = None,
) -> list[str | None]:
    """Upload all parts at once, and return their VersionIds in the plan's order.

    The signature of a blob expires with the lease: S3 itself then rejects the upload, so the time after which
    no more bytes can arrive is known. The lease is renewed while the wave runs, and so are the leases of
    `others`, writes of the same unit that were staged before.

    Raises:
        WriteLost: the lease expired and another process took the write over.
    """
    plan, lease = write.plan, staged.lease
    blobs = [
        _blob_put(context, i, part, staged.parts[i].key, lease, write)
        for i, part in enumerate(plan.parts)
        if part.source is not None
    ]
    documents = _document_puts(context, write, staged)
    # blobs take longest, so they begin first; an insert contains a whole batch, so it must not begin last
    # either
    first = max(0, context.ports.settings.max_puts - len(documents))
    puts = [*blobs[:first], *documents, *blobs[first:]]

    async def renew_leases() -> None:
        for each in others:
            await renew(context, each)  # if one was taken over, its own commit fails
        renewed = await renew(context, write)
        if renewed is None:
            raise WriteLost(write.write_id, "its lease (STOREKIT_LEASE) expired during the upload")
        # changed in place: uploads that have not begun yet are signed until the new time
        lease.granted_on, lease.sign_until = renewed.granted_on, renewed.sign_until
        lease.received_on = renewed.received_on

    count = (lambda _: None) if progress is None else _row_counter(plan, progress)
    done = await context.ports.runtime.wave(puts, renew_leases, context.ports.settings.renew_every, count)
    versions = dict(pair for pairs in done for pair in pairs)
    return [versions[i] for i in range(len(plan.parts))]


def _row_counter(plan: Plan, progress: Progress) -> Callable[[Arrived], None]:
    """Return a callback that counts a row when its last part arrives; a row without parts counts at once."""
    left = Counter(part.row for part in plan.parts)
    total, waiting = len(plan.rows), len(left)

    def count(arrived: Arrived) -> None:
        nonlocal waiting
        for i, _ in arrived:
            left[plan.parts[i].row] -= 1
            waiting -= not left[plan.parts[i].row]
        progress(total - waiting, total)

    return count


def _blob_put(context: Context, i: int, part: PartPlan, key: str, lease: Lease, write: Write) -> Put:
    async def put() -> Arrived:
        assert part.source is not None  # noqa: S101 for the type checker
        media_type = part.media_type or "application/octet-stream"
        with step("s3.put"):
            request = BlobPut(
                key,
                part.source,
                media_type,
                lease.granted_on,
                lease.sign_until,
                write.write_id,
                lease.received_on,
            )
            return [(i, await context.ports.blobs.put(request))]

    return put


def _document_puts(context: Context, write: Write, staged: Staged) -> list[Put]:
    """Return one put for each collection, which inserts its documents in batches of bounded size."""
    plan = write.plan
    batches: dict[str, list[list[tuple[int, DocumentPut]]]] = {}
    sizes: Counter[str] = Counter()
    siblings = _by_row(plan)
    for i, part in enumerate(plan.parts):
        if part.body is not None:
            collection = str(part.spec.collection)
            document = _document(context, write, staged, i, siblings[part.row])
            put = DocumentPut(collection, document, write.write_id, part.size)
            if collection not in batches or sizes[collection] + part.size > _LARGEST_INSERT:
                batches.setdefault(collection, []).append([])
                sizes[collection] = 0
            batches[collection][-1].append((i, put))
            sizes[collection] += part.size
    return [_insert(context, several) for several in batches.values()]


def _by_row(plan: Plan) -> dict[int, list[int]]:
    """Group part positions by row: searching all parts for each document would make a batch quadratic."""
    found: dict[int, list[int]] = {}
    for i, part in enumerate(plan.parts):
        found.setdefault(part.row, []).append(i)
    return found


def _insert(context: Context, batches: list[list[tuple[int, DocumentPut]]]) -> Put:
    """Insert one batch after the other: all at once they could fill the cache of a small server."""

    async def put() -> Arrived:
        for batch in batches:
            with step("mongo.insert"):
                await context.ports.documents.insert([document for _, document in batch])
        return [(i, None) for batch in batches for i, _ in batch]

    return put


def _document(
    context: Context, write: Write, staged: Staged, i: int, siblings: Sequence[int]
) -> dict[str, Any]:
    """Build the immutable document of a part."""
    plan, actor = write.plan, context.actor
    part, row = plan.parts[i], plan.rows[plan.parts[i].row]
    expires_on = staged.parts[i].expires_on
    return {
        "_id": write.part_ids[i],
        "tenantId": actor.tenant,
        "entity": row.table.name,
        "refId": row.ref_id,
        "field": part.spec.name,
        "body": part.body,
        "links": _links(plan, staged, part, siblings),
        "createdBy": actor.name,
        "createdOn": staged.lease.granted_on,
        "expiresOn": expires_on + _TTL_MARGIN if expires_on else None,
    }


def _links(plan: Plan, staged: Staged, part: PartPlan, siblings: Sequence[int]) -> dict[str, Any]:
    """Return where the linked blobs of a document are stored, for applications that read MongoDB directly."""
    links = dict(part.links)
    for i in siblings:
        sibling = plan.parts[i]
        if sibling.spec.name in part.spec.links:
            facts = {"key": staged.parts[i].key, "size": sibling.size, "sha256": sibling.sha256.hex()}
            links[sibling.spec.name] = facts
    return links
