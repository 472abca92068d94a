"""The cost of each call in trips."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from storekit import Blob
from tests.support.entities import Call, Job, Payload, Report, Run, Wide
from tests.support.harness import Harness, steps, trips

BLOBS, DOCUMENTS = "abcde", "fghij"


async def test_a_save_without_parts_is_one_trip(harness: Harness) -> None:
    """A record of columns costs one Postgres trip."""
    with steps() as seen:
        await harness.repository(Run).save(Run(name="x"))
    assert trips(seen) == {"postgres.commit": 1}


@pytest.mark.parametrize(("blobs", "documents", "collections"), [(1, 0, 0), (2, 1, 1), (5, 5, 2)])
async def test_a_save_with_parts_is_two_trips_around_one_wave(
    harness: Harness, blobs: int, documents: int, collections: int
) -> None:
    """1, 3 or 10 parts cost two Postgres trips, one upload each, and one insert for each collection."""
    record = Wide()
    for name in BLOBS[:blobs]:
        setattr(record, name, Blob(name))
    for name in DOCUMENTS[:documents]:
        setattr(record, name, {name: 1})
    with steps() as seen:
        await harness.repository(Wide).save(record)
    wave = {"s3.put": blobs} | ({"mongo.insert": collections} if collections else {})
    assert trips(seen) == {"postgres.stage": 1, **wave, "postgres.commit": 1}


async def test_a_batch_is_two_trips_around_one_wave(harness: Harness) -> None:
    """200 records with a document and a blob each cost two Postgres trips and one insert in MongoDB."""
    calls, run = harness.repository(Call), await harness.run()
    many = [
        Call(run_id=run.id, name=f"n{i}", payload=Payload(q=str(i)), transcript=Blob(f"# {i}"))
        for i in range(200)
    ]
    with steps() as seen:
        await calls.save_many(many)
    assert trips(seen) == {"postgres.stage": 1, "s3.put": 200, "mongo.insert": 1, "postgres.commit": 1}
    with steps() as seen:
        urls = await calls.urls([call.ref_id for call in many[:100]], "transcript")
    assert trips(seen) == {"postgres.select": 1}
    assert len(urls) == 100
    last = await calls.get(many[-1].ref_id, load=["payload"])
    assert (last.name, last.payload.q) == ("n199", "199")
    assert (await harness.fetch(urls[many[7].ref_id])).body == b"# 7"


async def test_reads_are_one_trip(harness: Harness) -> None:
    """get and url cost one Postgres trip; a document one MongoDB trip more, bytes one S3 request more."""
    calls = harness.repository(Call)
    saved = await harness.call(payload=Payload(q="x"), transcript=Blob("# hi"))
    costs: dict[str, tuple[Callable[[], Any], dict[str, int]]] = {
        "get": (lambda: calls.get(saved.ref_id), {}),
        "load": (lambda: calls.get(saved.ref_id, load=["payload"]), {"mongo.fetch": 1}),
        "url": (lambda: calls.url(saved.ref_id, "transcript"), {}),
        "read": (lambda: calls.read(saved.ref_id, "transcript"), {"s3.get": 1}),
        "explain": (lambda: calls.explain(saved.ref_id), {}),
    }
    for name, (read, more) in costs.items():
        with steps() as seen:
            await read()
        assert trips(seen) == {"postgres.select": 1, **more}, name


async def test_a_key_adds_no_trip_to_a_unit(harness: Harness) -> None:
    """A unit of work with a key costs what one without a key costs; a repetition reads its records."""
    wave, read = {"s3.put": 1, "mongo.insert": 1}, {"postgres.select": 1, "mongo.fetch": 1}
    for expected in ({"postgres.stage": 1, **wave, "postgres.commit": 1}, {"postgres.stage": 1, **read}):
        with steps() as seen:
            async with harness.unit(idempotency_key="k") as tx:
                tx.save(Run(name="x"))
                tx.save(Report(title="t", body={"a": 1}, pdf=Blob("%PDF", media_type="application/pdf")))
        assert trips(seen) == expected


async def test_claims_and_transitions_are_one_trip(harness: Harness) -> None:
    """A claim costs one trip, with a lease and without a free record too; so does a repeated transition."""
    jobs = harness.repository(Job)
    await jobs.save_many([Job(name=str(n)) for n in range(50)])
    lease = {"leased_until": timedelta(minutes=5)}
    for limit, count in ((30, 30), (30, 20), (30, 0)):
        with steps() as seen:
            taken = await jobs.claim({"status": "queued"}, "running", limit, lease=lease)
        assert (trips(seen), len(taken)) == ({"postgres.claim": 1}, count)
    job = (await jobs.find({"status": "running"}, limit=1))[0]
    for _ in range(2):
        with steps() as seen:
            await jobs.transition(job.ref_id, "done")
        assert trips(seen) == {"postgres.transition": 1}


async def test_an_unused_store_gets_no_request(harness: Harness) -> None:
    """Saving a record with a document and without a blob sends nothing to S3."""
    with steps() as seen:
        await harness.repository(Report).save(Report(title="t", body={}))
    assert trips(seen) == {"postgres.stage": 1, "mongo.insert": 1, "postgres.commit": 1}
