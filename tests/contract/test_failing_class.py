"""Records for which code of the class fails when they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import pytest
from pydantic import PrivateAttr, computed_field, model_validator

from storekit import Unreadable
from tests.support.entities import Job, Run, Sheet
from tests.support.harness import Harness

BAD = "refused"


def label() -> str:
    """Return the default of a private attribute, or fail."""
    if LABELS:
        raise RuntimeError(LABELS[0])
    return "label"


LABELS: list[str] = []
"""The reason for which `label` fails, or nothing."""


class Picky(Run):
    """A run whose code accepts no record with one name."""

    _seen: list[str] = PrivateAttr(default_factory=list)

    def model_post_init(self, context: Any, /) -> None:
        if self.name == BAD:
            raise KeyError("no such name")
        self._seen.append(self.name)

    @computed_field
    def title(self) -> str:
        """Return what needs a field."""
        return self.name.title()


class Judging(Picky):
    """A run with a validator of the whole record, too."""

    @model_validator(mode="after")
    def _judge(self) -> Self:
        if self.score < 0:
            raise ValueError("the score is negative")
        return self


class Labelled(Run):
    """A run with a private attribute whose default may fail."""

    _label: str = PrivateAttr(default_factory=label)


class Counted(Job):
    """A job whose code accepts no record with one name."""

    def model_post_init(self, context: Any, /) -> None:
        if self.name == BAD:
            raise TypeError("not a job")


class Drawn(Sheet):
    """A sheet whose code looks at a document."""

    def model_post_init(self, context: Any, /) -> None:
        if self.rows is not None and self.rows["n"] < 0:
            raise ValueError("a negative number")


def failed(record: Any, why: str, version: int = 1) -> None:
    """Check that the record has its own facts and no field that the class declares."""
    assert record.version == version
    assert record.created_by == "user:tester"
    for name in ("name", "score"):
        with pytest.raises(Unreadable, match=why) as raised:
            getattr(record, name)
        error = raised.value
        assert (error.table, error.ref_id, error.field) == ("runs", record.ref_id, None)
        assert error.version == version
        assert "history()" in str(error)
    assert "name=<unreadable>" in repr(record)


async def saved(harness: Harness) -> Run:
    """Save three runs, of which the second is refused, and return that one."""
    runs = harness.repository(Run)
    made: list[Run] = [await runs.save(Run(name=name, score=7)) for name in ("one", BAD, "three")]
    return made[1]


async def test_one_record_hides_no_page(harness: Harness) -> None:
    """If model_post_init fails for one record, find returns it with the others, and each of its fields raises
    Unreadable."""
    bad = await saved(harness)
    page = await harness.repository(Picky).find()
    assert [each.name for each in page if each.ref_id != bad.ref_id] == ["three", "one"]
    failed(page[1], "KeyError: 'no such name'")
    with pytest.raises(Unreadable, match="KeyError"):
        _ = page[1].title


async def test_get_returns_the_record(harness: Harness) -> None:
    """get returns a record for which code of the class fails as find does, and history has its values."""
    bad = await saved(harness)
    runs = harness.repository(Picky)
    failed(await runs.get(bad.ref_id), "no such name")
    [event] = await runs.history(bad.ref_id)
    assert event.after["name"] == BAD
    assert event.after["score"] == 7


async def test_a_default_that_fails_hides_no_record(harness: Harness) -> None:
    """If the default factory of a private attribute fails, the records are returned, and reading a field or
    the attribute raises Unreadable."""
    await saved(harness)
    LABELS.append("no label")
    try:
        page = await harness.repository(Labelled).find()
    finally:
        LABELS.clear()
    assert len(page) == 3
    for record in page:
        failed(record, "RuntimeError: no label")
        with pytest.raises(Unreadable, match="no label"):
            _ = record._label


CORRECTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "update": lambda runs, record: runs.update(record.ref_id, {"name": "good"}),
    "save": lambda runs, record: runs.save(record),
}


@pytest.mark.parametrize("entity", [Picky, Judging])
@pytest.mark.parametrize("how", CORRECTIONS)
async def test_the_record_can_be_corrected(harness: Harness, how: str, entity: type[Run]) -> None:
    """An update writes another value into a record for which the class fails; so does a save of its object if
    no validator needs the other fields."""
    bad = await saved(harness)
    runs = harness.repository(entity)
    record = await runs.get(bad.ref_id)
    if how == "save" and entity is Picky:
        record.name = "good"
    elif how == "save":
        with pytest.raises(Unreadable):
            record.name = "good"
        return
    await CORRECTIONS[how](runs, record)
    found = await runs.get(bad.ref_id)
    assert (found.name, found.score, found.version) == ("good", 7, 2)
    assert found._seen == ["good"]


async def test_a_save_without_an_assignment_writes_nothing(harness: Harness) -> None:
    """A save of a record for which the class fails changes nothing of it, unless a field was assigned."""
    bad = await saved(harness)
    runs = harness.repository(Picky)
    await runs.save(await runs.get(bad.ref_id))
    stored = await harness.repository(Run).get(bad.ref_id)
    assert (stored.name, stored.score, stored.version) == (BAD, 7, 1)


async def test_a_change_returns_the_record_that_it_has_committed(harness: Harness) -> None:
    """A change whose record the class refuses is committed and returns the record; reading a field says which
    version is committed, and not to repeat the change."""
    run = await harness.run()
    runs = harness.repository(Picky)
    failed(await runs.update(run.ref_id, {"name": BAD}), "version 2 is committed.*do not repeat", 2)
    [changed] = await runs.update_many({run.ref_id: {"score": 9}})
    failed(changed, "version 3 is committed", 3)


async def test_one_record_hides_no_claim(harness: Harness) -> None:
    """claim returns all records that it has taken, those for which code of the class fails included."""
    await harness.repository(Job).save_many([Job(name=name) for name in ("one", BAD, "three")])
    taken = await harness.repository(Counted).claim({"status": "queued"}, "running", 3)
    assert [each.version for each in taken] == [2, 2, 2]
    good = [each.name for each in taken if not repr(each).count("name=<unreadable>")]
    assert sorted(good) == ["one", "three"]


async def test_a_document_that_makes_the_class_fail_hides_no_page(harness: Harness) -> None:
    """If model_post_init fails because of a document that was loaded, the other records are returned."""
    sheets = harness.repository(Sheet)
    for n in (-1, 1):
        await sheets.save(Sheet(path=str(n), rows={"n": n}))
    page = await harness.repository(Drawn).find(order_by="path", load=["rows"])
    assert page[1].rows == {"n": 1}
    with pytest.raises(Unreadable, match="a negative number"):
        _ = page[0].rows
    with pytest.raises(Unreadable, match="a negative number"):
        _ = page[0].path


async def test_an_upsert_corrects_the_record(harness: Harness) -> None:
    """upsert writes the given fields of a record for which the class fails, and leaves the others."""
    sheets = harness.repository(Sheet)
    await sheets.save(Sheet(path="a", n=1, m=2))

    class Strict(Sheet):
        def model_post_init(self, context: Any, /) -> None:
            if self.n == 1:
                raise ValueError("n must not be 1")

    [changed] = await harness.repository(Strict).upsert([Strict(path="a", n=3)])
    assert (changed.n, changed.m, changed.version) == (3, 2, 2)


async def test_repr_shows_a_computed_field_that_needs_a_document(harness: Harness) -> None:
    """repr of a record never raises: a computed field that needs a document is shown as not loaded."""

    class Summed(Sheet):
        @computed_field
        def total(self) -> int:
            return sum((self.rows or {}).values())

    sheet = await harness.repository(Sheet).save(Sheet(path="a", rows={"n": 1}))
    sheets = harness.repository(Summed)
    assert "total=<not loaded>" in repr(await sheets.get(sheet.ref_id))
    assert "total=1" in repr(await sheets.get(sheet.ref_id, load=["rows"]))
