"""Assignments that a validator makes to other objects of its class are validated as any other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

import pydantic
import pytest
from pydantic import Field, ModelWrapValidatorHandler, model_validator

from storekit import Entity, Mutable
from tests.support.features import repository


class Seat(Entity, Mutable, table="seats"):
    number: Annotated[int, Field(ge=0)] = 0
    runs: int = 0
    act: ClassVar[Callable[[Any], Any]] = lambda own: None
    around: ClassVar[Callable[[Any], Any]] = lambda own: None

    @model_validator(mode="after")
    def _act(self) -> Self:
        self.runs += 1
        type(self).act(self)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _around(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(values)
        cls.around(made)
        return made


class Front(Seat, table="front_seats"):
    pass


@pytest.fixture(autouse=True)
def no_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seat, "act", lambda own: None)
    monkeypatch.setattr(Seat, "around", lambda own: None)


WAYS: dict[str, Callable[[Any], Any]] = {
    "constructor": lambda other: Seat(number=2),
    "model_validate": lambda other: Seat.model_validate({"number": 2}),
    "json": lambda other: Seat.model_validate_json('{"number": 2}'),
    "instance": Seat.model_validate,
    "assignment": lambda other: setattr(other, "number", 2),
    "derived class": lambda other: Front(number=2),
}


@pytest.mark.parametrize("name", ["act", "around"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_assignment_to_another_object_is_validated(
    monkeypatch: pytest.MonkeyPatch, way: Callable[[Any], Any], name: str
) -> None:
    """A validator cannot store a value in another object of its class that the object's own type refuses."""
    other, trigger = Seat(number=1), Seat(number=1)
    copies = copy.copy(other), copy.deepcopy(other)
    refused = []

    def act(own: Any) -> None:
        monkeypatch.setattr(Seat, name, lambda own: None)
        for each in (other, *copies, own.model_copy()):
            with pytest.raises(pydantic.ValidationError, match="greater than or equal to 0"):
                each.number = -5
            refused.append(each.number)
        own.number = -7  # a validator may set any value in its own object

    monkeypatch.setattr(Seat, name, act)
    made = way(trigger)
    assert len(refused) == 4
    assert min(refused) >= 1
    assert (made or trigger).number == -7
    assert other.number == 1


def test_an_assignment_to_its_own_object_is_not_validated_again() -> None:
    """A validator that assigns to its own object runs once, for new, assigned, updated and loaded records."""
    seats = repository(Seat)
    seat = Seat(number=1)
    assert seat.runs == 1
    seat.number = 2
    assert seat.runs == 2
    saved = seats.save(seat)
    assert seats.update(saved.ref_id, {"number": 3}).runs == 3
    found = seats.get(saved.ref_id)
    found.number = 4
    assert found.runs == 4
