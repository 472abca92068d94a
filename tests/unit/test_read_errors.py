"""Invalid reads, and the equality of entities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import uuid4

import pytest

from storekit import Blob, Entity, UsageError, blob, document
from storekit.api.repository import Repository
from storekit.testing import memory_store


class Invoice(Entity, table="invoices"):
    title: str
    scan_part: str = "a column"
    scan: Annotated[Blob | None, blob(media_type="text/plain")] = None
    ocr: Annotated[dict[str, Any] | None, document(collection="ocr")] = None


@pytest.fixture
def invoices() -> Repository[Invoice]:
    return memory_store(Invoice).scope(tenant=uuid4(), actor="t").repository(Invoice)


INVALID_READS: dict[str, tuple[Callable[[Any, Invoice], object], str]] = {
    "the record": (lambda r, made: r.get(made), "ref_id is an Invoice; pass its .ref_id"),
    "the record for a url": (lambda r, made: r.url(made, "scan"), "ref_id is an Invoice"),
    "the id": (lambda r, made: r.get(made.id), "pass the record's .ref_id"),
    "load as text": (lambda r, made: r.get(made.ref_id, load="ocr"), r"give a list: load=\['ocr'\]"),
    "load of a blob": (lambda r, made: r.get(made.ref_id, load=["scan"]), r"read\(\), open\(\) or url\(\)"),
    "read of a document": (lambda r, made: r.read(made.ref_id, "ocr"), r"get\(ref_id, load="),
    "an unknown part": (lambda r, made: r.read(made.ref_id, "title"), "it has scan"),
}


@pytest.mark.parametrize(("ask", "message"), INVALID_READS.values(), ids=INVALID_READS.keys())
def test_an_invalid_read_raises_with_the_correct_call(
    invoices: Repository[Invoice], ask: Callable[[Any, Invoice], object], message: str
) -> None:
    """A read with a wrong argument raises UsageError that shows the correct call."""
    made = invoices.save(Invoice(title="x"))
    with pytest.raises(UsageError, match=message):
        ask(invoices, made)


def test_entities_with_equal_fields_are_equal(invoices: Repository[Invoice]) -> None:
    """Entities are equal if their fields are equal, whatever was loaded."""
    ref_id = invoices.save(Invoice(title="x", scan=Blob("scanned"), ocr={"a": 1})).ref_id
    assert invoices.get(ref_id) == invoices.get(ref_id)
    changed = invoices.get(ref_id)
    changed.title = "y"
    assert changed != invoices.get(ref_id)


def test_a_column_may_be_named_like_a_part_with_a_suffix(invoices: Repository[Invoice]) -> None:
    """A column named <part>_part can be read beside the part."""
    made = invoices.save(Invoice(title="x", scan=Blob("scanned"), ocr={"a": 1}))
    found = invoices.get(made.ref_id, load=["ocr"])
    assert (found.scan_part, found.ocr, invoices.read(made.ref_id, "scan")) == (
        "a column",
        {"a": 1},
        b"scanned",
    )
