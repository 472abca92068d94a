"""Normal use of the sync and the async API, accepted by mypy --strict and pyright in strict mode."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, assert_type
from uuid import UUID

from pydantic import BaseModel

from storekit import (
    AsyncBlobStream,
    AsyncRepository,
    AsyncStore,
    AsyncTransaction,
    Blob,
    BlobStream,
    Conflict,
    ConstraintViolation,
    Entity,
    EntityClass,
    Event,
    Expired,
    Filter,
    Found,
    Index,
    InvalidTransition,
    Line,
    Migration,
    Mutable,
    NotFound,
    Page,
    Repository,
    Settings,
    SoftDelete,
    Store,
    StorekitError,
    Transaction,
    between,
    blob,
    contains,
    document,
    ge,
    gt,
    has_key,
    in_,
    index,
    is_null,
    json_path,
    le,
    listen,
    lookup,
    lt,
    moves,
    not_null,
    prefix,
    references,
    render,
    unique,
)
from storekit.agency import ActivityOutput, ActivityRun, OutputMetadata
from storekit.testing import Memory, async_memory_store, memory_store


class Status(StrEnum):
    RUNNING = "running"
    DONE = "done"


class Payload(BaseModel):
    query: str
    hits: int = 0


class Run(Entity, table="runs"):
    number: int


class Call(Entity, Mutable, SoftDelete, table="calls"):
    run_id: Annotated[UUID, references(Run, on_delete="restrict")]
    name: str
    status: Status = Status.RUNNING
    tags: list[str] = []
    payload: Annotated[
        Payload | Expired, document(collection="call_logs", ttl=timedelta(days=90), links=("transcript",))
    ]
    transcript: Annotated[Blob | None, blob(media_type="text/markdown")] = None


class Plan(Entity, Mutable, table="plans", scope="global"):
    name: str


class Order(
    Entity,
    Mutable,
    table="orders",
    indexes=[
        index("status", "-created_on"),
        unique("token", where={"status": [Status.RUNNING], "note": not_null}),
    ],
    natural_key=("number",),
):
    number: str
    plan_id: Annotated[UUID | None, references(Plan)] = None
    status: Annotated[Status, moves({Status.RUNNING: [Status.DONE]}, initial=[Status.RUNNING])] = (
        Status.RUNNING
    )
    token: Annotated[str, lookup()]
    note: str | None = None


def call(run: Run) -> Call:
    return Call(run_id=run.id, name="search", payload=Payload(query="x"), transcript=Blob("# hi"))


def hits(payload: Payload | Expired) -> int:
    """Return the number of hits; the type checker requires a case for an expired document."""
    return 0 if isinstance(payload, Expired) else payload.hits


def main(tenant: UUID) -> None:
    with Store.embedded(Path("data"), entities=[Run, Call]) as store:
        scope = store.scope(tenant=tenant, actor="agent:writer")
        calls = scope.repository(Call)
        assert_type(calls, Repository[Call])
        run = scope.repository(Run).save(Run(number=1))
        saved = assert_type(calls.save(call(run), idempotency_key="k1"), Call)
        assert_type(calls.save_many([call(run), call(run)]), list[Call])
        loaded = calls.get(saved.ref_id, load=["payload"])
        assert_type(hits(loaded.payload), int)
        assert_type((loaded.version, loaded.created_on, loaded.created_by), tuple[int, datetime, str])
        assert_type((loaded.tenant_id, loaded.id, loaded.ref_id), tuple[UUID, UUID, str])
        assert_type((loaded.updated_on, loaded.deleted_by), tuple[datetime | None, str | None])
        assert_type(calls.read(saved.ref_id, "transcript"), bytes)
        with calls.open(saved.ref_id, "transcript") as stream:
            assert_type(stream, BlobStream)
            assert_type([len(chunk) for chunk in stream], list[int])
        assert_type(calls.url(saved.ref_id, "transcript", expires_in=60, download_as="hi.md"), str)
        assert_type(calls.urls([saved.ref_id], "transcript"), dict[str, str])
        try:
            assert_type(calls.update(saved.ref_id, {"status": Status.DONE}, expected_version=1), Call)
        except Conflict as conflict:
            assert_type((conflict.expected, conflict.found), tuple[int, int])
        loaded.status = Status.DONE
        loaded.transcript = None
        calls.save(loaded)
        assert_type(calls.explain(saved.ref_id), str)
        calls.delete(saved.ref_id)


async def main_async(tenant: UUID, settings: Settings) -> None:
    async with AsyncStore.open(settings) as store:
        assert_type(await store.migrate([Line("app", Path("migrations"))]), list[Migration])
        scope = store.scope(tenant=str(tenant), actor="api")
        calls = scope.repository(Call)
        assert_type(calls, AsyncRepository[Call])
        run = await scope.repository(Run).save(Run(number=1))
        saved = assert_type(await calls.save(call(run), idempotency_key="k1"), Call)
        assert_type(await calls.save_many([call(run)]), list[Call])
        assert_type(await calls.get(saved.ref_id), Call)
        assert_type(await calls.read(saved.ref_id, "transcript"), bytes)
        async with calls.open(saved.ref_id, "transcript") as stream:
            assert_type(stream, AsyncBlobStream)
            assert_type([len(chunk) async for chunk in stream], list[int])
        assert_type(await calls.url(saved.ref_id, "transcript", inline=True), str)
        assert_type(await calls.urls([saved.ref_id], "transcript"), dict[str, str])
        assert_type(await calls.update(saved.ref_id, {"tags": ["a"]}), Call)
        try:
            await calls.delete(saved.ref_id)
        except NotFound as missing:
            assert_type(missing.ref_id, str)
        except StorekitError as error:
            assert_type(error.retryable, bool)


def rules(store: Store, tenant: UUID) -> None:
    orders = store.scope(tenant=tenant, actor="user:jane").repository(Order)
    order = orders.save(Order(number="A-1", token="digest"))
    try:
        assert_type(orders.transition(order.ref_id, Status.DONE, reason="paid", expected_version=1), Order)
    except InvalidTransition as refused:
        assert_type((refused.from_, refused.to, refused.allowed), tuple[str | None, str, tuple[str, ...]])
    except ConstraintViolation as taken:
        assert_type(taken.fields, tuple[str, ...])
    assert_type(orders.history(order.ref_id, limit=10), list[Event])
    assert_type(store.admin(actor="user:operator").repository(Plan).save(Plan(name="Pro")), Plan)
    found = assert_type(store.lookup(Order, "digest"), Found | None)
    if found is not None:
        assert_type((found.tenant, found.ref_id), tuple[UUID, str])
    assert_type(store.report("orders", actor="user:cfo"), list[dict[str, Any]])


async def rules_async(store: AsyncStore, tenant: UUID, ref_id: str) -> None:
    calls = store.scope(tenant=tenant, actor="user:jane").repository(Call)
    assert_type(await calls.restore(ref_id), Call)
    assert_type(await calls.history(ref_id), list[Event])
    assert_type(await store.report("orders", actor="user:cfo"), list[dict[str, Any]])


def lists(store: Store, tenant: UUID, run: Run) -> None:
    calls = store.scope(tenant=tenant, actor="user:jane").repository(Call)
    after: str | None = None
    where = {
        "status": in_("done", Status.RUNNING),
        "tags": contains("a"),
        "name": prefix("se"),
        "run.ref_id": "x",
    }
    page = assert_type(
        calls.find(where, order_by="-ref_id", limit=10, after=after, load=["payload"]), Page[Call]
    )
    after = page.next
    assert_type([call.name for call in page], list[str])
    assert_type((page[0], len(page), page.items), tuple[Call, int, tuple[Call, ...]])
    calls.find({"run_id": run.id, "version": ge(1) & lt(5)}, order_by=["-name", "status"], unindexed=True)
    assert_type(calls.count({"name": between("a", "b"), "transcript": is_null()}, deleted=True), int)


async def lists_async(store: AsyncStore, tenant: UUID) -> None:
    calls = store.scope(tenant=tenant, actor="user:jane").repository(Call)
    assert_type(await calls.find({"name": gt("a"), "status": le("done")}), Page[Call])
    assert_type(await calls.count({"meta": json_path("a.b", 1), "more": has_key("a")}), int)


def agency(run: ActivityRun, content: Path) -> ActivityOutput:
    return ActivityOutput(run_id=run.id, metadata=OutputMetadata(title="Plan"), content=Blob(content))


def units(store: Store, run: Run, calls: list[Call]) -> None:
    acme = store.scope(tenant=run.id, actor="user:jane")
    cursor = acme.cursor("webhooks")
    assert_type(cursor.read(), str | None)
    with acme.transaction() as tx:
        assert_type(tx, Transaction)
        assert_type(tx.save(run), Run)
        tx.save_many([*calls, run])
        tx.update(Call, calls[0].ref_id, {"name": "x"}, expected_version=1)
        tx.delete(Call, calls[0].ref_id)
        tx.restore(Call, calls[0].ref_id)
        tx.upsert(calls)
        tx.insert_ignore(calls)
        tx.advance(cursor, "evt_1")
        tx.transition(Call, calls[0].ref_id, "done", reason="sent", expected_version=1)
        assert_type(tx.replayed, bool)
        tx.flush()
        assert_type(tx.connection.execute("SELECT 1").fetchall(), list[Any])
        with acme.transaction(within=tx.connection) as inner:
            inner.save(run)
    repository = acme.repository(Call)
    assert_type(repository.save_many(calls, progress=print), list[Call])
    assert_type(repository.upsert(calls), list[Call])
    assert_type(repository.insert_ignore(calls), list[Call])
    assert_type(repository.update_many({calls[0].ref_id: {"name": "x"}}), list[Call])
    repository.delete_many([calls[0].ref_id])
    lease = {"leased_until": timedelta(minutes=5)}
    assert_type(repository.claim({"status": "queued"}, "running", 5, lease=lease, reason="x"), list[Call])


def keyed(store: Store, run: Run) -> str:
    """Return from inside a block: a unit of work is not taken for one that suppresses errors."""
    with store.scope(tenant=run.id, actor="a").transaction(idempotency_key="k", reason="r") as tx:
        tx.save(run)
        return run.ref_id


async def units_async(store: AsyncStore, run: Run, calls: list[Call]) -> None:
    acme = store.scope(tenant=run.id, actor="user:jane")
    cursor = acme.cursor("webhooks")
    assert_type(await cursor.read(), str | None)
    async with acme.transaction() as tx:
        assert_type(tx, AsyncTransaction)
        assert_type(tx.save(run), Run)
        tx.advance(cursor, "evt_1")
        await tx.flush()
        connection = await tx.connection
        assert_type(await (await connection.execute("SELECT 1")).fetchall(), list[Any])
        async with acme.transaction(within=connection) as inner:
            inner.save(run)
    assert_type(await acme.repository(Call).insert_ignore(calls), list[Call])


CLASSES = [Run, Call, Order]  # without an annotation: mypy and pyright infer different types for it


def classes() -> None:
    """A list of classes needs neither an annotation nor a cast."""
    for given in (CLASSES, [*CLASSES, Plan]):
        Store.embedded("data", entities=given)
        AsyncStore.embedded("data", entities=given)
    Store.embedded("data", entities=(Run, Call))
    Store.embedded("data", entities={Run, Call})
    memory_store(*CLASSES)
    async_memory_store(*CLASSES)
    Memory().declare(*CLASSES)
    assert_type(render(*CLASSES), str)
    named: list[EntityClass] = [*CLASSES]
    strict: list[type[Entity]] = [Run, Call]
    Store.embedded("data", entities=[*named, *strict])


def unsaved(run: Run) -> str:
    """Ask whether an object was saved: its version begins with 1."""
    return "saved" if run.version else "new"


def declarations() -> None:
    assert_type(render(Order), str)
    assert_type(index("status"), Index)
    assert_type(between(1, 2) & ge(1), Filter)
    with listen(lambda step, phase: print(f"{step} {phase}")):
        pass
