"""Invalid input raises a typed error before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError as PydanticError

from storekit import Blob, TenantRequired, UsageError, ValidationError
from tests.support.entities import Call, Everything, Note, Report, Run
from tests.support.harness import Harness, steps

pytestmark = pytest.mark.refusals

NAN = float("nan")


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def _list_of(value: object) -> Everything:
    """Return a list with a value that is added after validation, as an edit in place does."""
    record = Everything(texts=[], numbers=[], reals=[])
    lists: dict[type, Any] = {str: record.texts, int: record.numbers, float: record.reals}
    lists[type(value)].append(value)
    return record


BAD_COLUMNS: dict[str, Callable[[], Everything]] = {
    "NUL": lambda: Everything(text="a\0b"),
    "lone surrogate": lambda: Everything(text="\ud800"),
    "NUL in an array": lambda: _list_of("\0"),
    "NUL in a key": lambda: Everything(tree={"a\0": 1}),
    "surrogate in a tree": lambda: Everything(tree={"a": ["\udfff"]}),
    "integer of 65 bits": lambda: Everything(number=2**63),
    "integer below 64 bits": lambda: Everything(number=-(2**63) - 1),
    "integer of 65 bits in an array": lambda: _list_of(2**63),
    "integer of 65 bits in a tree": lambda: Everything(tree={"a": 2**63}),
    "NaN in an array": lambda: _list_of(NAN),
    "NaN in a tree": lambda: Everything(tree={"a": NAN}),
    "infinity in a tree": lambda: Everything(tree={"a": [-math.inf]}),
    "naive time": lambda: Everything(moment=datetime(2026, 1, 1)),
    "year 10000": lambda: Everything(moment=datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))),
    "year 0": lambda: Everything(moment=datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
    "number of too many digits": lambda: Everything(money=Decimal("1E-16384")),
    "number too large": lambda: Everything(money=Decimal("1E+131072")),
    "tree too deep": lambda: Everything(tree=_nested(65)),
    "time in an untyped tree": lambda: Everything(tree={"a": date.max}),
    "object in a tree": lambda: Everything(tree={"a": object()}),
}
BAD_DOCUMENTS: dict[str, Callable[[], dict[Any, Any]]] = {
    "over 15 MB": lambda: {"a": "x" * (15 * 1024 * 1024)},
    "too deep": lambda: _nested(65),
    "NUL": lambda: {"a": "\0"},
    "surrogate": lambda: {"a": "\ud800"},
    "NaN": lambda: {"a": NAN},
    "empty key": lambda: {"": 1},
    "operator": lambda: {"$where": "1"},
    "dotted key": lambda: {"a.b": 1},
    "integer of 65 bits": lambda: {"a": 2**63},
    "naive time": lambda: {"a": datetime(2026, 1, 1)},
    "35 digits": lambda: {"a": Decimal("1" * 35)},
    "decimal NaN": lambda: {"a": Decimal("NaN")},
    "object": lambda: {"a": object()},
}
BAD_UPDATES: dict[str, dict[str, Any]] = {
    "unknown field": {"nope": 1},
    "base column": {"version": 7},
    "wrong type": {"number": "many"},
    "unknown member": {"status": "lost"},
    "NaN": {"real": NAN},
    "year 10000": {"day": "10000-01-01"},
    "NUL": {"text": "\0"},
    "document with an operator": {"doc": {"$set": 1}},
    "column of a part": {"doc_ref": str(uuid4())},
}


@pytest.mark.parametrize("why", BAD_COLUMNS)
async def test_a_value_that_postgres_cannot_store_is_refused(harness: Harness, why: str) -> None:
    """A value that a column cannot store raises ValidationError with the name of the field."""
    record = BAD_COLUMNS[why]()
    with steps() as seen, pytest.raises(ValidationError, match=r"^Everything\.") as caught:
        await harness.repository(Everything).save(record)
    assert caught.value.entity == "Everything"
    assert not seen


@pytest.mark.parametrize("why", BAD_DOCUMENTS)
async def test_a_document_that_mongodb_cannot_store_is_refused(harness: Harness, why: str) -> None:
    """A document that MongoDB cannot store raises ValidationError with the name of the field."""
    record = Report(title="t", body=BAD_DOCUMENTS[why]())
    with steps() as seen, pytest.raises(ValidationError) as caught:
        await harness.repository(Report).save(record)
    assert (caught.value.entity, caught.value.field) == ("Report", "body")
    assert not seen


@pytest.mark.parametrize("why", BAD_UPDATES)
async def test_update_checks_names_and_values(harness: Harness, why: str) -> None:
    """update refuses unknown fields and invalid values, and no step is taken."""
    record = Everything(text="x")
    with steps() as seen, pytest.raises(ValidationError):
        await harness.repository(Everything).update(record.ref_id, BAD_UPDATES[why])
    assert not seen


async def test_the_constructor_refuses_invalid_fields(harness: Harness) -> None:
    """Unknown fields, wrong types, NaN and fields that storekit sets are refused by the constructor."""
    for values in ({"nope": 1}, {"number": "many"}, {"real": NAN}, {"ref_id": "x"}, {"version": 3}):
        with pytest.raises(PydanticError):
            Everything(**values)
    run = Run(name="x")
    with pytest.raises(PydanticError):
        run.score = "many"  # type: ignore[assignment]  # it is the point
    with pytest.raises(UsageError):
        run.version = 7


async def test_a_missing_file_is_refused(harness: Harness, tmp_path: Path) -> None:
    """A path without a file raises ValidationError, and nothing is sent."""
    path = tmp_path / "report"
    path.write_bytes(b"x")
    record = Report(title="t", pdf=Blob(path))
    path.unlink()
    with steps() as seen, pytest.raises(ValidationError) as caught:
        await harness.repository(Report).save(record)
    assert (caught.value.entity, caught.value.field) == ("Report", "pdf")
    assert set(seen) <= {"local.measure"}


@pytest.mark.parametrize(
    "blob",
    [
        Blob("x", media_type="not a type"),
        Blob("x", media_type="text/plain\r\nx: y"),
        Blob("x", filename="a\nb"),
        Blob("x", filename="x" * 256),
        Blob("\ud800"),
    ],
    ids=["media type", "header", "line in a name", "long name", "surrogate"],
)
async def test_invalid_media_types_and_file_names_are_refused(harness: Harness, blob: Blob) -> None:
    """Media types and file names that an HTTP header cannot carry are refused."""
    with steps() as seen, pytest.raises(ValidationError) as caught:
        await harness.repository(Report).save(Report(title="t", pdf=blob))
    assert (caught.value.entity, caught.value.field) == ("Report", "pdf")
    assert set(seen) <= {"local.measure"}


async def test_a_required_field_is_required(harness: Harness) -> None:
    """A record whose required field was emptied is refused, and no step is taken."""
    note = Note(title="t", content=Blob("x"))
    note.__dict__["content"] = None
    with steps() as seen, pytest.raises(ValidationError):
        await harness.repository(Note).save(note)
    assert not seen


@pytest.mark.parametrize("ref_id", ["", "x", "01M7YYJ1QXWRWM911EDFRDG47", "01m7yyj1qxwrwm911edfrdg472", None])
async def test_an_invalid_ref_id_is_refused(harness: Harness, ref_id: Any) -> None:
    """A ref_id that is not a ULID is refused, and no step is taken."""
    calls = harness.repository(Call)
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: calls.get(ref_id),
        lambda: calls.read(ref_id, "transcript"),
        lambda: calls.url(ref_id, "transcript"),
        lambda: calls.urls([ref_id], "transcript"),
        lambda: calls.update(ref_id, {"name": "x"}),
        lambda: calls.delete(ref_id),
        lambda: calls.explain(ref_id),
    )
    for attempt in attempts:
        with steps() as seen, pytest.raises(ValidationError):
            await attempt()
        assert not seen


async def test_a_field_that_is_not_a_blob_cannot_be_read(harness: Harness) -> None:
    """read, url and urls of a column, a document or an unknown field raise UsageError."""
    calls, ref_id = harness.repository(Call), Run(name="x").ref_id
    for field in ("name", "payload", "nope"):
        for attempt in (calls.read, calls.url, lambda ref, name: calls.urls([ref], name)):
            with steps() as seen, pytest.raises(UsageError, match="transcript"):
                await attempt(ref_id, field)
            assert not seen
    with pytest.raises(UsageError):
        await calls.get(ref_id, load=["transcript"])


@pytest.mark.parametrize("seconds", [0, -1, 901, 10**9, 60.5, True, None])
async def test_an_expiry_over_the_limit_is_refused(harness: Harness, seconds: Any) -> None:
    """expires_in must be whole seconds from 1 to the limit; anything else raises UsageError."""
    calls, ref_id = harness.repository(Call), Run(name="x").ref_id
    with steps() as seen:
        with pytest.raises(UsageError):
            await calls.url(ref_id, "transcript", expires_in=seconds)
        with pytest.raises(UsageError):
            await calls.urls([ref_id], "transcript", expires_in=seconds)
    assert not seen


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "\ud800"])
async def test_an_invalid_idempotency_key_is_refused(harness: Harness, key: str) -> None:
    """An idempotency key must be a text of 1 to 255 characters."""
    with steps() as seen, pytest.raises(ValidationError):
        await harness.repository(Run).save(Run(name="x"), idempotency_key=key)
    assert not seen


@pytest.mark.parametrize("tenant", [None, "", "acme", 7])
async def test_a_scope_requires_a_tenant(harness: Harness, tenant: Any) -> None:
    """A scope without a valid tenant is refused."""
    with pytest.raises(TenantRequired):
        harness.store.scope(tenant=tenant, actor="x")


@pytest.mark.parametrize("actor", ["", "  ", None, "a\0b"])
async def test_a_scope_requires_an_actor(harness: Harness, actor: Any) -> None:
    """A scope without the name of an actor is refused."""
    with pytest.raises((UsageError, ValidationError)):
        harness.store.scope(tenant=harness.tenant, actor=actor)


async def test_a_record_of_another_class_is_refused(harness: Harness) -> None:
    """A repository saves only records of its own class."""
    with steps() as seen, pytest.raises(UsageError):
        await harness.repository(Run).save(Report(title="t"))
    assert not seen


async def test_expected_version_of_a_new_record_is_refused(harness: Harness) -> None:
    """expected_version of a record that was never saved raises UsageError, and no step is taken."""
    with steps() as seen, pytest.raises(UsageError):
        await harness.repository(Run).save(Run(name="x"), expected_version=1)
    assert not seen


async def test_errors_do_not_contain_the_value(harness: Harness) -> None:
    """The message of a refused value contains the field and not the value."""
    secret = "hunter2" + "\0"
    with pytest.raises(ValidationError) as caught:
        await harness.repository(Everything).save(Everything(text=secret))
    assert "hunter2" not in str(caught.value)
