"""The records: columns, a document and 64 KB of content; for two stores only columns and content."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import count
from typing import Annotated
from uuid import UUID, uuid4

from pydantic import BaseModel

from storekit import Blob, Entity, Mutable, blob, document, references
from storekit.model.values.source import Content

TENANT, ACTOR = uuid4(), "agent:bench"
CONTENT, SMALL = os.urandom(64 << 10), os.urandom(2 << 10)


class Detail(BaseModel):
    prompt: str
    tokens: int
    tools: list[str]


class Report(Entity, table="bench_reports"):
    title: str
    pages: int
    detail: Annotated[Detail, document(collection="bench_details")]
    content: Annotated[Blob, blob(media_type="application/pdf")]


def detail() -> dict[str, object]:
    """Return the document as plain data."""
    return {"prompt": "summarise the quarter", "tokens": 1834, "tools": ["search", "sql", "chart"]}


def report(content: bytes = CONTENT) -> Report:
    """Return a new record."""
    return Report(title="Q3", pages=12, detail=Detail.model_validate(detail()), content=Blob(content))


class Attachment(Entity, table="bench_attachments"):
    title: str
    pages: int
    content: Annotated[Blob, blob(media_type="application/pdf")]


def attachment(content: Content = CONTENT) -> Attachment:
    """Return a new record without a document."""
    return Attachment(title="Q3", pages=12, content=Blob(content))


class Managed(Entity, Mutable, table="bench_managed"):
    title: str
    pages: int


class Bare(Entity, Mutable, table="bench_bare"):
    """The same columns in a table whose triggers and policies are disabled."""

    title: str
    pages: int


class Account(Entity, Mutable, table="bench_accounts", natural_key=("number",)):
    number: str
    name: str
    balance: int = 0


_numbers = count()


def accounts(new: int, known: Iterable[str] = ()) -> list[tuple[str, str, int]]:
    """Return number, name and balance of known and new accounts; each balance is different."""
    numbers = [*known, *(f"new {next(_numbers)}" for _ in range(new))]
    return [(number, "Cash", next(_numbers)) for number in numbers]


def account(number: str, name: str, balance: int) -> Account:
    """Make a fresh record."""
    return Account(number=number, name=name, balance=balance)


class Posting(Entity, table="bench_postings"):
    account_id: Annotated[UUID, references(Account)]
    text: str
    amount: int


class Kind(StrEnum):
    DRAFT = "draft"
    FINAL = "final"


class Wide(Entity, table="bench_wide"):
    """Twenty columns, six of them storekit's own, to measure the model's share of a save."""

    a: str
    b: str
    c: str
    d: str | None = None
    e: int
    f: int
    g: float
    h: bool
    i: UUID
    j: datetime
    k: date
    l: Kind  # noqa: E741  the twelfth of fourteen
    m: Decimal
    n: list[str]


ENTITIES = (Report, Attachment, Managed, Bare, Account, Posting)
"""The classes with a table."""

WIDE: dict[str, object] = {
    **dict.fromkeys("abc", "a name of a common length"),
    "e": 1,
    "f": 2**40,
    "g": 0.5,
    "h": True,
    "i": uuid4(),
    "j": datetime(2026, 1, 1, tzinfo=UTC),
    "k": date(2026, 1, 1),
    "l": Kind.DRAFT,
    "m": Decimal("12.50"),
    "n": ["one", "two"],
}
