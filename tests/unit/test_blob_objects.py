"""Blob objects: which attributes can be set, and what a copy or a pickled Blob contains."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest

from storekit import Blob, Entity, Mutable, UsageError, ValidationError, blob
from tests.support.features import repository


class Letter(Entity, Mutable, table="letters"):
    text: Annotated[Blob | None, blob(media_type="text/plain")] = None


COPIES: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    lambda each: pickle.loads(pickle.dumps(each)),
    lambda each: each,
]


@pytest.mark.parametrize("same", COPIES)
@pytest.mark.parametrize("name", ["filename", "media_type", "size", "sha256"])
def test_stored_content_cannot_be_renamed(name: str, same: Callable[[Any], Any]) -> None:
    """A Blob of stored content refuses an assignment, which no save would write, and keeps its values."""
    letters = repository(Letter)
    saved = letters.save(Letter(text=Blob("x", filename="a.txt")))
    for record in (saved, letters.get(saved.ref_id)):
        found = same(record.text)
        before = repr(found), found.filename
        with pytest.raises(UsageError, match=rf"Blob\.{name} .*stored content.*pass a new Blob"):
            setattr(found, name, "b.txt")
        with pytest.raises(UsageError, match="stored content"):
            delattr(found, name)
        assert (repr(found), found.filename) == before


def test_new_content_can_be_renamed_until_it_is_saved() -> None:
    """The name and the type of a new Blob can be assigned; another class than str is refused at once."""
    letters, content = repository(Letter), Blob("x")
    content.filename, content.media_type = "a.txt", "text/csv"
    for name in ("filename", "media_type"):
        with pytest.raises(UsageError, match=f"the {name} of a Blob must be str, not int"):
            setattr(content, name, 5)
    found = letters.get(letters.save(Letter(text=content)).ref_id).text
    assert found
    assert (found.filename, found.media_type) == ("a.txt", "text/csv")


def test_unchanged_content_becomes_stored_content() -> None:
    """A new Blob that equals the stored content is replaced by its description, as after any other save."""
    letters = repository(Letter)
    letter = letters.save(Letter(text=Blob("x", filename="a.txt")))
    given = Blob("x", filename="a.txt")
    letter.text = given
    assert letters.save(letter).version == 1
    assert letter.text is not given
    with pytest.raises(UsageError, match="stored content"):
        letter.text.filename = "b.txt"
    letter.text = Blob("x", filename="b.txt")
    assert letters.save(letter).version == 2


@pytest.mark.parametrize("same", COPIES)
def test_a_copy_of_a_consumed_iterator_is_refused(same: Callable[[Any], Any]) -> None:
    """If an iterator failed half-way, no copy of its Blob can be saved, not even in another process."""

    def failing() -> Iterator[bytes]:
        yield b"half"
        raise OSError("disk")

    letters, letter = repository(Letter), Letter(text=Blob(failing()))
    with pytest.raises(ValidationError, match="disk"):
        letters.save(letter)
    for each in (same(letter), Letter(text=same(letter.text))):
        with pytest.raises(ValidationError, match="consumed by an earlier save"):
            letters.save(each)
