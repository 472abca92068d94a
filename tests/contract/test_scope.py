"""Tenants and actors of a scope; explain and plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from storekit import Blob, NotFound, UsageError, ValidationError
from tests.support.entities import Call, Order, Payload, Report, Run
from tests.support.harness import Harness, steps, trips


async def test_another_tenants_record_is_not_found(harness: Harness) -> None:
    """Every call on a record of another tenant raises the error of an unknown record."""
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    other = Harness(harness.store, harness.browse, harness.move_clock).repository(Call)
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: other.get(saved.ref_id, load=["payload"]),
        lambda: other.read(saved.ref_id, "transcript"),
        lambda: other.url(saved.ref_id, "transcript"),
        lambda: other.update(saved.ref_id, {"name": "stolen"}),
        lambda: other.update(saved.ref_id, {"transcript": Blob("# stolen")}),
        lambda: other.delete(saved.ref_id),
        lambda: other.explain(saved.ref_id),
    )
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt()
    assert await other.urls([saved.ref_id], "transcript") == {}
    assert (await harness.repository(Call).get(saved.ref_id)).version == 1


async def test_a_record_cannot_be_saved_in_another_tenant(harness: Harness) -> None:
    """An object that was loaded in one tenant's scope is refused in another's, and no step is taken."""
    run = await harness.run()
    other = Harness(harness.store, harness.browse, harness.move_clock)
    run.score = 1
    with steps() as seen, pytest.raises(UsageError):
        await other.repository(Run).save(run)
    assert not seen


async def test_a_tenant_may_be_text(harness: Harness) -> None:
    """A tenant is a UUID or its text."""
    run = await harness.run()
    same = harness.repository(Run, tenant=str(harness.tenant))
    assert (await same.get(run.ref_id)).id == run.id


async def test_explain_shows_each_field_and_the_last_events(harness: Harness) -> None:
    """explain shows store, key, size, hash, state, writer and expiry of each field, and the last events."""
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    await harness.repository(Call, actor="user:editor").update(saved.ref_id, {"status": "done"})
    screen = await harness.repository(Call).explain(saved.ref_id)
    lines = {
        line.split()[0]: " ".join(line.split()[1:]) for line in screen.splitlines() if line.startswith("  ")
    }
    assert screen.startswith(f"calls {saved.ref_id}, version 2\n")
    assert lines["status"] == "Postgres done"
    assert lines["payload"].startswith("MongoDB tool_call_logs/")
    assert lines["transcript"].startswith(f"S3 {harness.tenant}/calls/{saved.ref_id}/transcript/")
    assert saved.transcript
    assert saved.transcript.sha256
    assert saved.transcript.sha256 in screen
    assert "committed by write" in screen
    assert [line.split()[2:] for line in screen.splitlines()[-2:]] == [
        ["calls.updated", "version", "2", "by", "user:editor"],
        ["calls.created", "version", "1", "by", "user:tester"],
    ]


async def test_explain_shows_empty_parts(harness: Harness) -> None:
    """explain shows an empty part as empty, with its store."""
    saved = await harness.repository(Report).save(Report(title="t"))
    screen = await harness.repository(Report).explain(saved.ref_id)
    assert sum(line.endswith("(empty)") for line in screen.splitlines()) == 2


async def test_plan_needs_no_server() -> None:
    """Entity.plan() shows the store of each field and the cost of a save, without a server."""
    plan = Call.plan()
    lines = {line.split()[0]: line.split()[1:] for line in plan.splitlines()[2:-1]}
    assert lines["name"] == ["Postgres", "text"]
    assert lines["run_id"] == ["Postgres", "uuid", "->", "runs"]
    assert lines["payload"][:3] == ["MongoDB", "collection", "tool_call_logs,"]
    assert lines["transcript"] == ["S3", "text/markdown"]
    assert plan.splitlines()[-1].endswith("two Postgres trips around one parallel wave")
    assert Run.plan().splitlines()[-1].endswith("one Postgres trip")


async def test_a_repository_may_be_shared(harness: Harness) -> None:
    """Threads or tasks may share a repository: each save and read returns its own result."""
    calls, run = harness.repository(Call), await harness.run()

    async def one(i: int) -> bool:
        saved = await calls.save(Call(run_id=run.id, name=f"n{i}", transcript=Blob(f"# {i}")))
        found, body = await asyncio.gather(calls.get(saved.ref_id), calls.read(saved.ref_id, "transcript"))
        return bool(found.name == f"n{i}" and body == f"# {i}".encode())

    assert all(await asyncio.gather(*(one(i) for i in range(12))))


async def test_one_of_several_concurrent_saves_wins(harness: Harness) -> None:
    """Of concurrent saves of one version exactly one succeeds; the others raise Conflict."""
    runs = harness.repository(Run)
    run = await harness.run()
    loaded = [await runs.get(run.ref_id) for _ in range(5)]
    for i, each in enumerate(loaded):
        each.score = i + 1
    done = await asyncio.gather(*(runs.save(each) for each in loaded), return_exceptions=True)
    winners = [each for each in done if isinstance(each, Run)]
    assert len(winners) == 1
    found = await runs.get(run.ref_id)
    assert (found.version, found.score) == (2, winners[0].score)


async def test_actor_and_reason_have_a_limit(harness: Harness) -> None:
    """An actor has at most 255 characters and a reason 4000; more is refused before anything is sent."""
    with pytest.raises(ValidationError, match="256 characters; the limit is 255"):
        harness.store.scope(tenant=harness.tenant, actor="a" * 256)
    orders = harness.repository(Order, actor="a" * 255)
    saved = await orders.save(Order(number="A-1"))
    with steps() as seen, pytest.raises(ValidationError, match="4001 characters; the limit is 4000"):
        await orders.transition(saved.ref_id, "confirmed", reason="r" * 4001)
    assert trips(seen) == {}
    assert (await orders.transition(saved.ref_id, "confirmed", reason="r" * 4000)).version == 2
