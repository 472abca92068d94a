"""Validators of entity classes: when they run, what they see, and what they may change."""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated, Any, Self

import pydantic
import pytest
from pydantic import (
    AfterValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from storekit import Conflict, Entity, Mutable, TooManyConflicts, ValidationError, trace
from tests.support.features import repository, row, scope_of
from tests.support.harness import steps, trips


class Word(Entity, Mutable, table="words"):
    text: Annotated[str, AfterValidator(str.strip)]
    note: str = ""

    @field_validator("note")
    @classmethod
    def _lower(cls, note: str) -> str:
        return note.lower() + "!"


class Window(Entity, Mutable, table="windows", natural_key=["name"]):
    name: str = "w"
    low: int = 0
    high: int = 0

    @field_validator("high")
    @classmethod
    def _above(cls, high: int, info: ValidationInfo) -> int:
        if high < info.data["low"]:
            raise ValueError("high is below low")
        return high


class Booking(Entity, Mutable, table="bookings", natural_key=["name"]):
    name: str = "b"
    seats: int = 10
    sold: int = 0
    free: int = 0
    saved_as: str = ""
    runs: int = 0

    @model_validator(mode="after")
    def _count(self) -> Self:
        self.free = self.seats - self.sold
        self.runs += 1
        if self.free < 0:
            raise ValueError("sold more than there are")
        return self


class Wrapped(Entity, Mutable, table="wrapped"):
    low: int = 1
    high: int = 5

    @model_validator(mode="wrap")
    @classmethod
    def _order(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(values)
        if made.low > made.high:
            raise ValueError("low is above high")
        made.high = max(made.high, 5)
        return made

    @model_validator(mode="before")
    @classmethod
    def _seen(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("low") == 13:
            raise ValueError("13 is unlucky")
        return values


@row("`field_validator`, `Annotated` validators")
def test_validators_of_a_field_run_when_it_is_set_and_not_when_it_is_read() -> None:
    """Constructor, assignment and update run the validators of a field; a read does not run them again."""
    words = repository(Word)
    word = words.save(Word(text=" a ", note="A"))
    assert (words.get(word.ref_id).text, words.get(word.ref_id).note) == ("a", "a!")
    word.text = " b "
    assert words.get(words.save(word).ref_id).text == "b"
    assert words.update(word.ref_id, {"text": " c ", "note": "C"}).text == "c"
    assert words.get(word.ref_id).note == "c!"


def test_an_update_costs_one_trip_if_no_validator_needs_the_record() -> None:
    """A class whose validators look at one field each is updated without being read."""
    words = repository(Word)
    word = words.save(Word(text="a"))
    with steps() as seen:
        words.update(word.ref_id, {"text": "b", "note": "B"})
    assert trips(seen) == {"postgres.commit": 1}


@row("validators that read `info.data`")
def test_a_validator_of_a_field_sees_the_record_that_is_updated() -> None:
    """An update reads the record, and is judged by the stored values and the new ones, not by defaults."""
    windows = repository(Window)
    window = windows.save(Window(low=-10, high=-5))
    with steps() as seen:
        windows.update(window.ref_id, {"high": -3})
    assert trips(seen) == {"postgres.select": 1, "postgres.commit": 1}
    assert windows.update(window.ref_id, {"high": 7, "low": 2}).high == 7
    with pytest.raises(ValidationError, match=r"Window\.high: .*high is below low"):
        windows.update(window.ref_id, {"high": 1})
    with pytest.raises(ValidationError, match="high is below low"):
        windows.update_many({window.ref_id: {"high": 1, "low": 3}})
    assert (windows.get(window.ref_id).low, windows.get(window.ref_id).version) == (2, 3)


@row('`model_validator(mode="after")`')
def test_a_validator_of_the_record_judges_updates_and_upserts() -> None:
    """update, update_many, upsert and a unit of work are refused if the merged record would be."""
    bookings = repository(Booking)
    ref_id = bookings.save(Booking(sold=9)).ref_id
    for call in (
        lambda: bookings.update(ref_id, {"sold": 11}),
        lambda: bookings.update_many({ref_id: {"seats": 8}}),
        lambda: bookings.upsert([Booking(name="b", seats=8)]),
    ):
        with pytest.raises(ValidationError, match="Booking: .*sold more than there are"):
            call()
    assert bookings.get(ref_id).version == 1
    assert bookings.update(ref_id, {"sold": 20, "seats": 20}).free == 0
    (found,) = bookings.upsert([Booking(name="b", seats=30)])
    assert (found.ref_id, found.sold, found.free) == (ref_id, 20, 10)


def test_a_unit_of_work_judges_an_update_by_the_record() -> None:
    """tx.update raises at the end of the unit if the merged record is refused, and nothing is committed."""
    scope = scope_of(Booking)
    ref_id = scope.repository(Booking).save(Booking(sold=9)).ref_id
    with pytest.raises(ValidationError, match="sold more"), scope.transaction() as tx:
        tx.update(Booking, ref_id, {"sold": 11})
    with scope.transaction() as tx:
        tx.update(Booking, ref_id, {"sold": 10})
    found = scope.repository(Booking).get(ref_id)
    assert (found.sold, found.free, found.version) == (10, 0, 2)


@pytest.mark.parametrize("way", ["update", "update_many", "unit"])
def test_an_update_is_judged_again_if_the_record_was_changed_meanwhile(way: str) -> None:
    """A change by another writer between the read and the commit never makes a record that is invalid."""
    scope = scope_of(Booking)
    bookings = scope.repository(Booking)
    ref_id = bookings.save(Booking(sold=5)).ref_id
    others: list[dict[str, int]] = []

    def interfere(name: str, phase: trace.Phase) -> None:
        if (name, phase) == ("postgres.commit", "started") and others:
            bookings.update(ref_id, others.pop())

    def update(values: dict[str, int]) -> None:
        with trace.listen(interfere):
            if way == "unit":
                with scope.transaction() as tx:
                    tx.update(Booking, ref_id, values)
            elif way == "update":
                bookings.update(ref_id, values)
            else:
                bookings.update_many({ref_id: values})

    others.append({"seats": 8})
    update({"sold": 7})
    assert (bookings.get(ref_id).seats, bookings.get(ref_id).free) == (8, 1)
    others.append({"seats": 7})
    with pytest.raises(ValidationError, match="sold more"):
        update({"sold": 8})
    assert (bookings.get(ref_id).sold, bookings.get(ref_id).seats) == (7, 7)


@pytest.mark.parametrize("way", ["update", "update_many", "unit"])
def test_an_update_that_is_always_overtaken_is_judged_ten_times(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten attempts with pauses between them, the update raises a retryable error and writes nothing."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    scope = scope_of(Booking)
    bookings = scope.repository(Booking)
    ref_id = bookings.save(Booking(sold=0)).ref_id
    seen = Counter[str]()

    def interfere(name: str, phase: trace.Phase) -> None:
        seen[name] += phase == "started"
        if (name, phase) == ("postgres.commit", "started") and not seen["other"] % 2:
            seen["other"] += 1  # the commit of the other writer must not call it again
            bookings.update(ref_id, {"seats": 10 + seen["other"]})
            seen["other"] += 1

    def in_unit() -> None:
        with scope.transaction() as tx:
            tx.update(Booking, ref_id, {"sold": 7})

    ways = {
        "update": lambda: bookings.update(ref_id, {"sold": 7}),
        "update_many": lambda: bookings.update_many({ref_id: {"sold": 7}}),
        "unit": in_unit,
    }
    with trace.listen(interfere), pytest.raises(TooManyConflicts):
        ways[way]()
    assert (bookings.get(ref_id).sold, seen["sleep"], seen["postgres.commit"]) == (0, 9, 20)
    assert len(pauses) == 9
    assert all(pauses)


def test_a_judged_update_compares_the_version_that_was_passed() -> None:
    """With expected_version, a record that has another version raises Conflict and is not judged."""
    bookings = repository(Booking)
    ref_id = bookings.save(Booking(sold=5)).ref_id
    assert bookings.update(ref_id, {"sold": 6}, expected_version=1).version == 2
    with pytest.raises(Conflict):
        bookings.update(ref_id, {"sold": 99}, expected_version=1)


@row("validators that assign")
def test_a_validator_may_assign_to_the_record() -> None:
    """An assignment by a validator of the record sets the value and does not start the validator again."""
    bookings = repository(Booking)
    booking = Booking(sold=4)
    assert (booking.free, booking.runs) == (6, 1)
    booking.sold = 5
    assert (booking.free, booking.runs) == (5, 2)
    ref_id = bookings.save(booking).ref_id
    assert bookings.update(ref_id, {"seats": 20}).free == 15
    assert bookings.get(ref_id).free == 15
    assert TypeAdapter(list[Booking]).validate_python([{"sold": 1}])[0].free == 9


@row("`validate_assignment`")
def test_a_refused_assignment_leaves_the_object_as_it_was() -> None:
    """Assignments are always validated; after a refused one, a save finds nothing to write."""
    bookings = repository(Booking)
    booking = bookings.get(bookings.save(Booking(sold=9)).ref_id)
    before = {**booking.__dict__}
    for name, value in (("sold", 99), ("seats", 1), ("sold", "many")):
        with pytest.raises(pydantic.ValidationError):
            setattr(booking, name, value)
        assert booking.__dict__ == before
    assert bookings.save(booking).version == 1
    fresh = Booking()
    with pytest.raises(pydantic.ValidationError):
        fresh.sold = 99
    assert fresh.model_fields_set == Booking().model_fields_set

    class Checked(Booking, table="checked"):
        model_config = ConfigDict(validate_assignment=True)

    checked = Checked(sold=1)
    checked.sold = 2
    assert (checked.free, checked.runs) == (8, 2)


@row('`model_validator(mode="before")`, `mode="wrap"`')
def test_other_validators_of_the_record_judge_the_merged_record() -> None:
    """Validators before and around the validation run once on the record as it would be."""
    wrapped = repository(Wrapped)
    ref_id = wrapped.save(Wrapped(low=2, high=3)).ref_id
    assert wrapped.get(ref_id).high == 5
    assert (wrapped.update(ref_id, {"high": 9, "low": 7}).low, wrapped.get(ref_id).high) == (7, 9)
    with pytest.raises(ValidationError, match="low is above high"):
        wrapped.update(ref_id, {"high": 6})
    with pytest.raises(ValidationError, match="13 is unlucky"):
        wrapped.update(ref_id, {"low": 13, "high": 20})
