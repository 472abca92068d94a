"""A save that fails between the stage and the uploads."""

from __future__ import annotations

from uuid import uuid4

import pytest

from storekit import Blob, Unavailable
from storekit.testing import faults, memory_store
from tests.support.entities import Note
from tests.support.harness import steps


def test_a_failure_after_the_stage_frees_the_key() -> None:
    """If a store fails after the stage, the write is abandoned at once, and a retry does not wait."""

    def fail() -> None:
        raise Unavailable("s3", "it is away")

    with memory_store(Note) as store:
        notes = store.scope(tenant=uuid4(), actor="a").repository(Note)
        note = Note(title="x", content=Blob(b"content"))
        with faults.at(faults.Point("after", "postgres.stage", 1), fail), pytest.raises(Unavailable):
            notes.save(note, idempotency_key="k")
        with steps() as seen:
            notes.save(Note(title="x", content=Blob(b"content")), idempotency_key="k")
        assert seen["sleep"] == 0
