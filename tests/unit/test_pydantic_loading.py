"""Validators, defaults and `model_post_init` of records whose documents are not loaded."""

from __future__ import annotations

from typing import Annotated, Any, Self

import pytest
from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    model_validator,
)

from storekit import Entity, Mutable, NotLoaded, ValidationError, document
from tests.support.features import repository, row
from tests.support.harness import steps, trips


class Logged(Entity, Mutable, table="logged"):
    size: int = 0
    log: Annotated[dict[str, Any] | None, document(collection="logs")] = None

    @model_validator(mode="after")
    def _short(self) -> Self:
        if self.log is not None and len(self.log) > self.size:
            raise ValueError("the log is too long")
        return self


class Counted(Entity, Mutable, table="counted"):
    name: str = ""
    length: int = 0
    log: Annotated[dict[str, Any] | None, document(collection="logs")] = None
    _entries: int = PrivateAttr(default=-1)

    def model_post_init(self, context: Any, /) -> None:
        self.length = len(self.name)
        self._entries = len(self.log or {})


@row("validators that read a document")
def test_a_validator_that_reads_an_unloaded_document_raises_not_loaded() -> None:
    """An assignment or update raises NotLoaded and changes nothing; with the document loaded it works."""
    logged = repository(Logged)
    ref_id = logged.save(Logged(size=2, log={"a": 1, "b": 2})).ref_id
    found = logged.get(ref_id)
    with pytest.raises(NotLoaded, match=r"Logged\.log is not loaded; load it with get"):
        found.size = 3
    assert found.size == 2
    with pytest.raises(NotLoaded):
        logged.update(ref_id, {"size": 3})
    assert logged.update(ref_id, {"size": 3, "log": {}}).version == 2
    loaded = logged.get(ref_id, load=["log"])
    loaded.size = 0
    assert logged.save(loaded).version == 3


@row("`model_post_init`")
def test_model_post_init_runs_for_new_and_for_loaded_records() -> None:
    """It runs after a read too; if it needs a document, it runs when that is loaded."""
    counted = repository(Counted)
    saved = counted.save(Counted(name="abc", log={"a": 1}))
    assert (saved.length, saved._entries) == (3, 1)
    assert counted.get(saved.ref_id)._entries == -1
    assert counted.get(saved.ref_id, load=["log"])._entries == 1
    (found,) = counted.find({"name": "abc"}, load=["log"])
    assert (found.length, found._entries) == (3, 1)
    assert counted.update(saved.ref_id, {"name": "abcd"}).length == 4


@row("`default_factory`, `validate_default`")
def test_defaults_are_made_for_new_objects_only() -> None:
    """A default is stored by the save of a new object; a read never replaces a stored value by a default."""

    class Token(Entity, Mutable, table="tokens"):
        parts: list[str] = Field(default_factory=lambda: ["a"])
        size: int = Field(default="7", validate_default=True)
        twice: int = Field(default_factory=lambda values: 2 * values["size"])

    tokens = repository(Token)
    token = tokens.save(Token())
    token.parts = []
    tokens.save(token)
    found = tokens.get(token.ref_id)
    assert (found.parts, found.size, found.twice) == ([], 7, 14)


class Nested(BaseModel):
    low: int = 0
    high: int = 0

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


@row("validators of nested models")
def test_validators_of_nested_models_run_when_the_field_is_read() -> None:
    """They run on every read, as the model is built from JSON; an update replaces the whole field."""

    class Span(Entity, Mutable, table="spans"):
        bounds: Nested = Nested()

    spans = repository(Span)
    with steps() as seen:
        span = spans.save(Span(bounds=Nested(low=1, high=2)))
        assert spans.update(span.ref_id, {"bounds": {"high": 3}}).bounds == Nested(high=3)
    assert trips(seen) == {"postgres.commit": 2}
    with pytest.raises(ValidationError, match=r"Span\.bounds: .*low is above high"):
        spans.update(span.ref_id, {"bounds": {"low": 9}})
