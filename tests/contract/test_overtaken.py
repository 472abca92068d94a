"""Calls that another writer overtakes: they pause, look the record up again and upload once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from storekit import Blob, Conflict, TooManyConflicts, trace
from storekit.bridge import settle
from tests.support.entities import Sheet
from tests.support.harness import Harness, steps

COMMITS = ("postgres.commit", "postgres.begin")


@contextmanager
def overtaken(harness: Harness, act: Callable[[Any], object], times: int) -> Iterator[None]:
    """Let another writer act before each commit, at most `times` times."""
    assert harness.rival
    sheets, left = harness.rival.scope(tenant=harness.tenant, actor="agent:rival").repository(Sheet), times

    def listener(name: str, phase: trace.Phase) -> None:
        nonlocal left
        if phase == "started" and name in COMMITS and left:
            turns, left = left - 1, 0  # the rival's own commits must not call it again
            act(sheets)
            left = turns

    with trace.listen(listener):
        yield


def rewrite(sheets: Any) -> None:
    (found,) = sheets.find({"path": "a"})
    sheets.update(found.ref_id, {"n": found.n - 1})


async def saved(harness: Harness, **values: Any) -> Sheet:
    (sheet,) = await harness.repository(Sheet).upsert([Sheet(path="a", **values)])
    stored: Sheet = sheet
    return stored


async def test_an_overtaken_upsert_uploads_once(harness: Harness) -> None:
    """An upsert that depends on the stored record looks it up again after other writers; it uploads once."""
    await saved(harness, chart=Blob(b"old"), caption={"a": 0})
    sheet = Sheet(path="a", n=9, chart=Blob(b"new"), caption={"a": 1})
    with overtaken(harness, rewrite, times=3), steps() as seen:
        (found,) = await harness.repository(Sheet).upsert([sheet])
    own = {name: seen[name] for name in ("postgres.stage", "s3.put", "mongo.insert", "sleep")}
    assert own == {"postgres.stage": 1, "s3.put": 1, "mongo.insert": 1, "sleep": 3}
    read = await harness.repository(Sheet).get(found.ref_id, load=["caption"])
    assert (read.n, read.version, read.caption) == (9, 5, {"a": 1})
    assert await harness.repository(Sheet).read(found.ref_id, "chart") == b"new"


async def test_an_upsert_of_independent_parts_is_not_overtaken(harness: Harness) -> None:
    """An upsert whose parts and columns are all written commits at once, whatever others have written."""
    await saved(harness, rows={"a": 0})
    with overtaken(harness, rewrite, times=3), steps() as seen:
        await harness.repository(Sheet).upsert([Sheet(path="a", n=9, rows={"a": 1})])
    assert (seen["mongo.insert"], seen["sleep"]) == (1, 0)


async def test_upserts_do_not_mix(harness: Harness) -> None:
    """The record is as one of two concurrent upserts gave it, also where one of them changes nothing."""

    def rival(sheets: Any) -> None:
        sheets.upsert([Sheet(path="a", n=5, m=5, rows={"a": 5})])

    for given in ({"n": 1, "m": 2}, {"m": 2, "rows": {"a": 1}}, {"n": 1, "m": 2, "rows": {"a": 2}}):
        await saved(harness, n=1, m=1, rows={"a": 1})
        with overtaken(harness, rival, times=1):
            found = await saved(harness, **given)
        read = await harness.repository(Sheet).get(found.ref_id, load=["rows"])
        assert {name: getattr(read, name) for name in given} == given


async def test_the_loser_of_an_insert_uploads_for_the_record_that_won(harness: Harness) -> None:
    """If another writer inserts the key first, the upsert writes that record, with parts of its own row."""
    given = Sheet(path="a", n=9, chart=Blob(b"mine"))
    with (
        overtaken(harness, lambda sheets: sheets.upsert([Sheet(path="a", m=1)]), times=1),
        steps() as seen,
    ):
        (found,) = await harness.repository(Sheet).upsert([given])
    assert (seen["s3.put"], seen["sleep"]) == (2, 1)
    assert found.ref_id != given.ref_id
    assert (found.n, found.m, found.created_by) == (9, 1, "agent:rival")
    assert await harness.repository(Sheet).read(found.ref_id, "chart") == b"mine"


async def test_an_upsert_that_is_always_overtaken_can_be_retried(harness: Harness) -> None:
    """After ten attempts a retryable error says so, nothing is visible, and the same call can succeed."""
    stored = await saved(harness, chart=Blob(b"old"), caption={"a": 0})
    sheet, sheets = Sheet(path="a", n=9, chart=Blob(b"new")), harness.repository(Sheet)
    with (
        overtaken(harness, rewrite, times=99),
        steps() as seen,
        pytest.raises(TooManyConflicts, match="10 attempts; nothing was committed; call again") as caught,
    ):
        await sheets.upsert([sheet])
    assert (caught.value.retryable, seen["s3.put"], seen["sleep"], seen["postgres.abandon"]) == (
        True,
        1,
        9,
        1,
    )
    assert await sheets.read(stored.ref_id, "chart") == b"old"
    await sheets.upsert([sheet])
    assert await sheets.read(stored.ref_id, "chart") == b"new"


async def test_an_overtaken_call_that_is_cancelled_abandons_its_uploads(harness: Harness) -> None:
    """A call that is cancelled before its next attempt abandons the write that has its uploaded parts."""
    await saved(harness, chart=Blob(b"old"), caption={"a": 0})

    def cancel(name: str, phase: trace.Phase) -> None:
        if (name, phase) == ("sleep", "started"):
            raise asyncio.CancelledError

    with (
        overtaken(harness, rewrite, times=1),
        steps() as seen,
        trace.listen(cancel),
        pytest.raises(asyncio.CancelledError),
    ):
        await harness.repository(Sheet).upsert([Sheet(path="a", n=9, chart=Blob(b"new"))])
    assert (seen["postgres.stage"], seen["postgres.abandon"]) == (1, 1)


async def test_an_overtaken_update_is_repeated(harness: Harness) -> None:
    """An update that compares versions by itself, for a linked document, is repeated."""
    stored, sheets = await saved(harness, chart=Blob(b"old"), caption={"a": 0}), harness.repository(Sheet)

    async def update(values: dict[str, Any]) -> None:
        await sheets.update(stored.ref_id, values)

    async def update_many(values: dict[str, Any]) -> None:
        await sheets.update_many({stored.ref_id: values})

    for n, write in enumerate((update, update_many)):
        with overtaken(harness, rewrite, times=2), steps() as seen:
            await write({"chart": Blob(b"new %d" % n)})
        assert (seen["s3.put"], seen["sleep"]) == (1, 2)
    now = await sheets.get(stored.ref_id, load=["caption"])
    assert now.caption == {"a": 0}
    with overtaken(harness, rewrite, times=1), pytest.raises(Conflict):
        await sheets.update(stored.ref_id, {"chart": Blob(b"x")}, expected_version=now.version)


async def test_an_overtaken_unit_with_a_key_uploads_once(harness: Harness) -> None:
    """A unit with a key keeps its uploads and its key over the attempts, also after a flush."""
    sheets = harness.repository(Sheet)
    for n, flushes in enumerate((False, True)):
        stored = await saved(harness, chart=Blob(b"old %d" % n), caption={"a": n})
        for expected in ({"s3.put": 1, "sleep": 2, "postgres.abandon": 0}, {"s3.put": 0, "sleep": 0}):
            with overtaken(harness, rewrite, times=2), steps() as seen:
                async with harness.unit(idempotency_key=f"k{n}") as tx:
                    tx.upsert([Sheet(path="a", n=9, chart=Blob(b"new %d" % n))])
                    if flushes:
                        await settle(tx.flush())
            assert ({name: seen[name] for name in expected}, tx.replayed) == (expected, not expected["sleep"])
        assert await sheets.read(stored.ref_id, "chart") == b"new %d" % n


@pytest.mark.sql
async def test_an_overtaken_unit_uploads_once(harness: Harness) -> None:
    """A unit with SQL of the user looks records up again after other writers, and keeps its uploads."""
    stored, sheets = await saved(harness, chart=Blob(b"old"), caption={"a": 0}), harness.repository(Sheet)
    (other,) = await sheets.upsert([Sheet(path="b", chart=Blob(b"old"), caption={"a": 0})])
    with overtaken(harness, rewrite, times=3), steps() as seen:
        async with harness.unit() as tx:
            tx.upsert([Sheet(path="a", n=9, chart=Blob(b"new"))])
            tx.update(Sheet, other.ref_id, {"chart": Blob(b"other")})
            await settle((await settle(tx.connection)).execute("SELECT 1"))
    assert (seen["s3.put"], seen["sleep"]) == (2, 3)
    assert [await sheets.read(each.ref_id, "chart") for each in (stored, other)] == [b"new", b"other"]
