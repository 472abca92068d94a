"""Documents of classes that change, validate or compute: nothing is lost or rewritten needlessly."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self
from uuid import uuid4

import pytest
from pydantic import BaseModel, ConfigDict, computed_field, model_validator

from storekit import Entity, Expired, Mutable, OutcomeUnknown, ValidationError, document, trace
from storekit.model.save.changes import change_of
from storekit.testing import Memory, memory_store

LIFE = timedelta(days=90)


class Old(BaseModel):
    q: str


class New(BaseModel):
    q: str
    lang: str = "en"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    q: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def loud(self) -> str:
        return self.q.upper()


class Longer(Old):
    extra: str


class Before(Entity, Mutable, table="evolving"):
    name: str
    body: Annotated[Old | Expired, document(collection="bodies", ttl=LIFE)]


class After(Entity, Mutable, table="evolving"):
    name: str
    body: Annotated[New | Expired, document(collection="bodies", ttl=LIFE)]


class Computed(Entity, Mutable, table="computed"):
    name: str
    body: Annotated[Strict, document(collection="bodies")]


class Window(Entity, Mutable, table="windows"):
    low: int
    high: int
    body: Annotated[Old | None, document(collection="bodies")] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        assert self.low <= self.high
        return self


def test_a_new_default_does_not_rewrite_a_document() -> None:
    """An unchanged document keeps its expiry when its class gets a field with a default."""
    memory, tenant = Memory(), uuid4()
    with memory_store(Before, memory=memory) as store:
        ref_id = (
            store.scope(tenant=tenant, actor="a").repository(Before).save(Before(name="1", body=Old(q="x")))
        ).ref_id
    with memory_store(After, memory=memory) as store:
        records = store.scope(tenant=tenant, actor="a").repository(After)
        found = records.get(ref_id, load=["body"])
        assert found.body == New(q="x")
        found.name = "2"
        seen: list[str] = []
        with trace.listen(lambda name, phase: seen.append(name)):
            records.save(found)
        assert set(seen) == {"postgres.commit"}


def test_a_document_with_computed_fields_can_be_read() -> None:
    """Computed fields of a model are not stored, and do not prevent reading it."""
    with memory_store(Computed) as store:
        records = store.scope(tenant=uuid4(), actor="a").repository(Computed)
        saved = records.save(Computed(name="x", body=Strict(q="hi")))
        assert records.get(saved.ref_id, load=["body"]).body == Strict(q="hi")


def test_a_document_that_reading_would_change_is_refused() -> None:
    """A subclass whose extra fields reading would lose raises ValidationError before any I/O."""
    with pytest.raises(ValidationError, match="would be different when it is read back"):
        change_of(Before(name="x", body=Longer(q="x", extra="lost")), uuid4())


def test_model_validators_do_not_run_on_single_fields() -> None:
    """Loading a document and updating one field do not run a validator of the whole record."""
    with memory_store(Window) as store:
        windows = store.scope(tenant=uuid4(), actor="a").repository(Window)
        saved = windows.save(Window(low=1, high=2, body=Old(q="x")))
        assert windows.get(saved.ref_id, load=["body"]).body == Old(q="x")
        assert windows.update(saved.ref_id, {"high": 3}).high == 3
        with pytest.raises(ValidationError, match="integer"):
            windows.update(saved.ref_id, {"high": "much"})


def test_an_unknown_outcome_is_raised_once() -> None:
    """A save that is repeated days after it failed raises OutcomeUnknown once, and then succeeds."""
    memory = Memory()

    def fail(name: str, phase: str) -> None:
        if phase == "started" and name in {"postgres.stage", "postgres.abandon"}:
            raise KeyboardInterrupt

    with memory_store(Computed, memory=memory) as store:
        records = store.scope(tenant=uuid4(), actor="a").repository(Computed)
        record = Computed(name="x", body=Strict(q="hi"))
        with trace.listen(fail), pytest.raises(KeyboardInterrupt):
            records.save(record, idempotency_key="k")
        memory.move_clock(timedelta(days=2))
        with pytest.raises(OutcomeUnknown):
            records.save(record, idempotency_key="k")
        memory.move_clock(-timedelta(days=2))
        assert records.save(record, idempotency_key="k").version == 1
