"""Limits of what one value, one call and one error message may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import pytest

from storekit import (
    Blob,
    Entity,
    Mutable,
    StorekitError,
    TenantRequired,
    UsageError,
    ValidationError,
    blob,
    moves,
)
from storekit.drivers.postgres.errors import shortened
from storekit.drivers.postgres.queries import reads
from storekit.model.values import source
from storekit.model.values.limits import MAX_COLUMN
from storekit.ports.statements import Call
from storekit.testing import memory_store

MIB = 1 << 20
LONG = "x" * 100_000


class State(StrEnum):
    OPEN = "open"
    DONE = "done"


class Text(Entity, Mutable, table="texts"):
    text: str = ""
    state: Annotated[State, moves({State.OPEN: [State.DONE]})] = State.OPEN
    items: list[str] = []
    data: dict[str, Any] = {}
    file: Annotated[Blob | None, blob()] = None


LARGE: dict[str, Callable[[int], dict[str, Any]]] = {
    "text": lambda size: {"text": "x" * size},
    "text of four bytes for each character": lambda size: {
        "text": "\U0001f600" * (size // 4) + "x" * (size % 4)
    },
    "list": lambda size: {"items": ["x" * (size - 4)]},
    "json": lambda size: {"data": {"a": "x" * (size - 8)}},
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_column_has_a_largest_size(kind: str) -> None:
    """The value of a column has at most 16 MiB, of UTF-8 or of JSON; one byte more is refused before any
    I/O."""
    with memory_store(Text) as store:
        texts = store.scope(tenant=uuid4(), actor="test").repository(Text)
        texts.save(Text(**LARGE[kind](MAX_COLUMN)))
        with pytest.raises(ValidationError, match=f"it has {MAX_COLUMN + 1} bytes; the limit of a column is"):
            texts.save(Text(**LARGE[kind](MAX_COLUMN + 1)))


def test_a_call_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of one call have at most 128 MiB together; more is refused before a connection is taken."""
    monkeypatch.setattr(reads, "MAX_REQUEST", 1000)
    assert reads.call(Call("commit_v1", {"p_ops": [{"a": "x" * 900}]}))
    with pytest.raises(ValidationError, match="the limit is 1000; save them in several calls"):
        reads.call(Call("commit_v1", {"p_ops": [{"a": "x" * 1000}]}))


def test_a_media_type_has_a_largest_length() -> None:
    """A media type has at most 255 characters, in a Blob and in a declaration."""
    with memory_store(Text) as store:
        texts = store.scope(tenant=uuid4(), actor="test").repository(Text)
        texts.save(Text(file=Blob(b"x", media_type="text/" + "x" * 250)))
        with pytest.raises(ValidationError, match="the media type has 256 characters; the limit is 255"):
            texts.save(Text(file=Blob(b"x", media_type="text/" + "x" * 251)))
    with pytest.raises(UsageError, match="at most 255 characters"):
        blob(media_type="text/" + "x" * 251)


def _endless(taken: list[int]) -> Iterator[bytes]:
    while True:
        taken.append(1)
        yield b"\0" * MIB


class _Endless:
    """A file that can be read again, without an end."""

    def __init__(self) -> None:
        self.taken = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, position: int) -> None:
        pass

    def read(self, size: int = -1) -> bytes:
        self.taken += 1
        return b"\0" * size


def test_content_without_an_end_is_refused_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the limit of a blob: nothing beyond it is taken from an iterator, a file or a
    device."""
    monkeypatch.setattr(source, "MAX_SIZE", 4 * MIB)
    taken: list[int] = []
    file: Any = _Endless()
    for content in (_endless(taken), file, Path("/dev/zero")):
        with pytest.raises(ValidationError, match=f"more than {4 * MIB} bytes"):
            Blob(content).measure("Text.file")
    assert len(taken) == 5
    assert file.taken <= 6


ECHOES: dict[str, Callable[[Any], object]] = {
    "state": lambda texts: texts.save(Text(state=LONG)),  # type: ignore[arg-type]
    "transition": lambda texts: texts.transition(texts.save(Text()).ref_id, LONG),
    "filter": lambda texts: texts.find({"state": LONG}),
    "column": lambda texts: texts.find({LONG: 1}),
    "order": lambda texts: texts.find(order_by=LONG),
    "cursor": lambda texts: texts.find(after=LONG),
    "limit": lambda texts: texts.find(limit=LONG),
    "ref_id": lambda texts: texts.get(LONG),
    "load": lambda texts: texts.get(texts.save(Text()).ref_id, load=[LONG]),
    "field": lambda texts: texts.url(texts.save(Text()).ref_id, LONG),
    "expires_in": lambda texts: texts.url(texts.save(Text()).ref_id, "file", expires_in=LONG),
    "update": lambda texts: texts.update(texts.save(Text()).ref_id, {LONG: 1}),
    "media type": lambda texts: texts.save(Text(file=Blob(b"x", media_type=LONG))),
    "file name": lambda texts: texts.save(Text(file=Blob(b"x", filename=LONG))),
    "idempotency key": lambda texts: texts.save(Text(), idempotency_key=LONG),
}


@pytest.mark.parametrize("what", ECHOES)
def test_messages_quote_the_beginning_of_a_value(what: str) -> None:
    """A message of an error has at most 1,000 characters, however long the refused value is."""
    with memory_store(Text) as store:
        texts = store.scope(tenant=uuid4(), actor="test").repository(Text)
        with pytest.raises((StorekitError, ValueError)) as caught:
            ECHOES[what](texts)
    assert len(str(caught.value)) <= 1000


def test_a_tenant_is_quoted_in_part() -> None:
    """A tenant that is not a UUID is quoted in part."""
    with memory_store(Text) as store, pytest.raises(TenantRequired) as caught:
        store.scope(tenant=LONG, actor="test")
    assert len(str(caught.value)) < 200


def test_a_message_of_the_server_is_cut() -> None:
    """A message of Postgres, which may quote a value, is cut to 500 characters."""
    assert shortened("short") == "short"
    assert len(shortened(LONG)) == 503
