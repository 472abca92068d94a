"""Normal use in both colours, accepted by mypy --strict and by pyright in its strict mode."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, assert_type
from uuid import UUID

from pydantic import BaseModel

from storekit import (
    AsyncRepository,
    AsyncStore,
    Blob,
    Conflict,
    ConstraintViolation,
    Entity,
    Event,
    Expired,
    InvalidTransition,
    Mutable,
    NotFound,
    Repository,
    Settings,
    SoftDelete,
    Store,
    StorekitError,
    blob,
    document,
    index,
    lookup,
    moves,
    not_null,
    references,
    unique,
)
from storekit.agency import ActivityOutput, ActivityRun, OutputMetadata


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
    """An expired document is a value: the checker makes its user say what then."""
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
        assert_type(loaded.version, int | None)
        assert_type(calls.read(saved.ref_id, "transcript"), bytes)
        with calls.open(saved.ref_id, "transcript") as stream:
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
        await store.migrate()
        scope = store.scope(tenant=str(tenant), actor="api")
        calls = scope.repository(Call)
        assert_type(calls, AsyncRepository[Call])
        run = await scope.repository(Run).save(Run(number=1))
        saved = assert_type(await calls.save(call(run), idempotency_key="k1"), Call)
        assert_type(await calls.save_many([call(run)]), list[Call])
        assert_type(await calls.get(saved.ref_id), Call)
        assert_type(await calls.read(saved.ref_id, "transcript"), bytes)
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
    found = store.lookup(Order, "digest")
    if found is not None:
        assert_type((found.tenant, found.ref_id), tuple[UUID, str])
    assert_type(store.report("orders", actor="user:cfo"), list[dict[str, Any]])


async def rules_async(store: AsyncStore, tenant: UUID, ref_id: str) -> None:
    calls = store.scope(tenant=tenant, actor="user:jane").repository(Call)
    assert_type(await calls.restore(ref_id), Call)
    assert_type(await calls.history(ref_id), list[Event])
    assert_type(await store.report("orders", actor="user:cfo"), list[dict[str, Any]])


def agency(run: ActivityRun, content: Path) -> ActivityOutput:
    return ActivityOutput(run_id=run.id, metadata=OutputMetadata(title="Plan"), content=Blob(content))
