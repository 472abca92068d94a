"""A request that is repeated under its key is the same request, although its objects are built anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field, RootModel

from storekit import Entity, IdempotencyConflict, Mutable, document
from tests.support.features import repository, row


class Span(BaseModel):
    tokens: int
    span_id: UUID = Field(default_factory=uuid4)
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    tags: list[str] = Field(default_factory=list)


class Spans(RootModel[list[Span]]):
    pass


class Trace(BaseModel):
    first: Span
    spans: list[Span] = []
    named: dict[str, Span] = {}
    rest: Spans = Spans([])


class Answer(Entity, Mutable, table="answers"):
    text: str = "42"
    nonce: UUID = Field(default_factory=uuid4)
    span: Span | None = None
    tree: dict[str, Trace] | None = None
    trace: Annotated[Trace | None, document(collection="traces")] = None
    traces: Annotated[dict[str, Trace] | None, document(collection="traces")] = None


def trace(tokens: int = 1, **more: Any) -> Trace:
    """Build a trace whose models have generated values at every depth."""
    span = Span(tokens=tokens, **more)
    return Trace(first=span, spans=[span, Span(tokens=2)], named={"a": span}, rest=Spans([span]))


REQUESTS: dict[str, Callable[[], dict[str, Any]]] = {
    "a column": dict,
    "a jsonb column": lambda: {"span": Span(tokens=1)},
    "models inside a jsonb column": lambda: {"tree": {"a": trace()}},
    "a document": lambda: {"trace": trace()},
    "a document that is a dict": lambda: {"traces": {"a": trace(), "b": trace()}},
}


@row("`default_factory` in nested models")
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_generated_values_do_not_change_a_request(request_: Callable[[], dict[str, Any]]) -> None:
    """A retry returns the record that was saved first, with the values that were generated first."""
    answers = repository(Answer)
    first = answers.save(Answer(**request_()), idempotency_key="k")
    again = answers.save(Answer(**request_()), idempotency_key="k")
    load = ["trace", "traces"]
    assert answers.get(again.ref_id, load=load) == answers.get(first.ref_id, load=load)


def test_a_retry_after_loading_is_the_same_request() -> None:
    """A process that loads the record and makes the same change again gets the record of the first save."""
    answers = repository(Answer)
    ref_id = answers.save(Answer(trace=trace(), span=Span(tokens=1))).ref_id
    set_by_hand: dict[str, Any] = {"span_id": UUID(int=1), "at": datetime(2026, 1, 1, tzinfo=UTC)}
    changes: list[tuple[str, Callable[[], Any]]] = [
        ("trace", lambda: trace(tokens=5)),
        ("span", lambda: Span(tokens=5)),
        ("trace", lambda: Trace(first=Span(tokens=1, **set_by_hand))),
    ]
    for i, (name, make) in enumerate(changes):
        versions = set[int | None]()
        for _ in range(2):
            answer = answers.get(ref_id, load=["trace"])
            setattr(answer, name, make())
            versions.add(answers.save(answer, idempotency_key=f"change {i}").version)
        assert len(versions) == 1


@pytest.mark.parametrize(
    "other",
    [
        trace(tokens=9),
        trace(span_id=UUID(int=1)),
        trace(tags=["a"]),
        Trace(first=Span(tokens=1), spans=[Span(tokens=2)]),
    ],
)
def test_values_that_the_caller_set_are_part_of_the_request(other: Trace) -> None:
    """Under one key, another value at any depth raises IdempotencyConflict, in a document and in a column."""
    answers = repository(Answer)
    pairs: dict[str, tuple[Any, Any]] = {"trace": (trace(), other), "tree": ({"a": trace()}, {"a": other})}
    for name, (first, second) in pairs.items():
        answers.save(Answer(**{name: first}), idempotency_key=name)
        with pytest.raises(IdempotencyConflict):
            answers.save(Answer(**{name: second}), idempotency_key=name)


def test_a_default_list_that_was_edited_in_place_is_part_of_the_request() -> None:
    """What was appended to a default list or dict counts as passed by the caller."""
    answers = repository(Answer)
    answers.save(Answer(span=Span(tokens=1)), idempotency_key="k")
    other = Answer(span=Span(tokens=1))
    assert other.span is not None
    other.span.tags.append("a")
    with pytest.raises(IdempotencyConflict):
        answers.save(other, idempotency_key="k")
