"""Stored formats: canonical hashes, sizes, fingerprints, ids."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import bson
import pytest
from bson import json_util
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from storekit import Blob, Entity, ValidationError, blob, document, ids, references
from storekit.drivers.mongo.documents import CODEC
from storekit.model.save.changes import change_of
from storekit.model.save.planner import make_plan
from storekit.model.values.bson import MAX_BYTES, body_hash, encode_body

TENANT = UUID("0190b1a0-0000-7000-8000-000000000001")
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
keys = text.filter(lambda key: key and "." not in key and not key.startswith("$"))
scalars = (
    st.none()
    | st.booleans()
    | text
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20)
    | st.datetimes(
        min_value=datetime(2, 1, 1),
        max_value=datetime(9998, 1, 1),
        timezones=st.just(UTC),
    )
    | st.uuids()
    | st.binary(max_size=20)
)
values = st.recursive(
    scalars, lambda each: st.lists(each, max_size=4) | st.dictionaries(keys, each, max_size=4), max_leaves=12
)


@given(st.dictionaries(keys, values, max_size=5))
def test_a_body_survives_bson_with_its_hash_and_size(value: dict[str, Any]) -> None:
    """A body read from BSON equals the saved one, has the same hash, and the computed size."""
    body, size = encode_body(value, "x")
    wire = bson.encode(body, codec_options=CODEC)
    read: dict[str, Any] = bson.decode(wire, codec_options=CODEC)
    assert read == body
    assert body_hash(read) == body_hash(body)
    assert len(wire) == size


@given(st.dictionaries(keys, values, max_size=5))
def test_the_hash_is_that_of_canonical_extended_json_with_sorted_keys(value: dict[str, Any]) -> None:
    """The hash of a body can be recomputed from MongoDB's canonical extended JSON."""
    body, _ = encode_body(value, "x")
    options = json_util.JSONOptions(
        json_mode=json_util.JSONMode.CANONICAL, uuid_representation=CODEC.uuid_representation
    )
    plain: CodecOptions[dict[str, Any]] = CodecOptions(
        tz_aware=True, uuid_representation=CODEC.uuid_representation
    )
    stored = bson.decode(bson.encode(body, codec_options=CODEC), codec_options=plain)
    extended = json.loads(json_util.dumps(stored, json_options=options))
    canonical = json.dumps(extended, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(canonical.encode()).digest() == body_hash(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"": 1}, "key"),
        ({"a.b": 1}, "key"),
        ({"$set": 1}, "key"),
        ({"a": {"$ne": None}}, "key"),
        ({1: 1}, "key"),
        ({"a": 2**63}, "64 bits"),
        ({"a": float("nan")}, "finite"),
        ({"a": Decimal("NaN")}, "finite"),
        ({"a": Decimal("1" * 35)}, "34 digits"),
        ({"a": "x\0y"}, "U+0000"),
        ({"a\0": 1}, "U+0000"),
        ({"a": "\ud800"}, "surrogate"),
        ({"a": datetime(2026, 1, 1)}, "zone"),
        ({"a": datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))}, "9999"),
        ({"a": object()}, "object"),
        ({"a": "x" * MAX_BYTES}, "limit"),
        ([], "a model or a dict"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else None,
)
def test_an_invalid_document_is_refused(body: Any, message: str) -> None:
    """A body that a store would refuse, change or lose raises ValidationError with the reason."""
    with pytest.raises(ValidationError, match=None) as caught:
        encode_body(body, "Call.payload")
    assert message in str(caught.value)
    assert (caught.value.entity, caught.value.field) == ("Call", "payload")


def test_a_body_has_at_most_64_levels() -> None:
    """A body of 64 levels is accepted, one of 65 levels refused."""
    body: dict[str, Any] = {}
    for _ in range(63):
        body = {"a": body}
    encode_body(body, "x")
    with pytest.raises(ValidationError, match="deeper than 64"):
        encode_body({"a": body}, "x")


class Run(Entity, table="runs"):
    name: str
    note: str = "none"


class Step(Entity, table="steps"):
    run_id: Annotated[UUID, references(Run)]
    body: Annotated[dict[str, Any], document(collection="bodies")] = {}
    content: Annotated[Blob | None, blob()] = None


def fingerprint(*entities: Entity) -> str:
    changes = [change_of(entity, TENANT) for entity in entities]
    for change in changes:
        change.contents |= {name: change.measure(name) for name in change.blobs}
    return make_plan(changes).fingerprint.hex()


def test_the_fingerprint_ignores_generated_ids() -> None:
    """Two objects with equal declared values have the same fingerprint."""
    assert fingerprint(Run(name="a")) == fingerprint(Run(name="a"))
    assert fingerprint(Run(name="a")) != fingerprint(Run(name="b"))


class LaterRun(Run, table="runs"):
    tags: list[str] = []
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


def test_the_fingerprint_ignores_defaults() -> None:
    """A default does not change the fingerprint, passed or not, so a class may get new ones."""
    assert fingerprint(Run(name="a")) == fingerprint(Run(name="a", note="none"))
    assert fingerprint(Run(name="a")) == fingerprint(LaterRun(name="a"))
    assert fingerprint(Run(name="a")) == fingerprint(LaterRun(name="a", tags=[]))
    assert fingerprint(Run(name="a")) != fingerprint(Run(name="a", note="some"))
    assert fingerprint(Run(name="a")) != fingerprint(LaterRun(name="a", tags=["b"]))


def test_the_fingerprint_uses_positions_of_referenced_entities() -> None:
    """Entities that refer to each other have the same fingerprint although their ids are new."""

    def pair() -> tuple[Run, Step]:
        run = Run(name="a")
        return run, Step(run_id=run.id)

    assert fingerprint(*pair()) == fingerprint(*pair())
    assert fingerprint(Step(run_id=uuid4())) != fingerprint(Step(run_id=uuid4()))


def test_the_fingerprint_of_blobs_and_iterators(tmp_path: Path) -> None:
    """A blob counts by its hash, whatever its source; an iterator by its media type alone."""
    run, file = uuid4(), tmp_path / "content"
    file.write_bytes(b"x")

    def stream(*chunks: bytes) -> Iterator[bytes]:
        return iter(chunks)

    def of(content: Any) -> str:
        return fingerprint(Step(run_id=run, content=Blob(content)))

    assert of("x") == of(b"x") == of(io.BytesIO(b"x"))
    assert of("x") != of("y")
    assert of(stream(b"x")) == of(stream(b"y"))
    assert of(stream(b"x")) != of("x")


def test_ids_sort_by_time() -> None:
    """Of two ids generated a second apart the later is greater, as UUID and as ULID."""

    def at(second: int) -> tuple[UUID, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("storekit.ids.time.time_ns", lambda: second * 10**9)
            return ids.new_id(), ids.new_ref_id()

    (first_id, first_ref), (second_id, second_ref) = at(1_700_000_000), at(1_700_000_001)
    assert first_id < second_id
    assert first_ref < second_ref
    assert ids.REF_ID.match(first_ref)


def test_ref_ids_of_one_process_ascend() -> None:
    """Each ref_id is greater than earlier ones, even if threads generate them in the same millisecond."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr("storekit.ids.time.time_ns", lambda: 1_700_000_000 * 10**9)
        made = [*pool.map(lambda _: [ids.new_ref_id() for _ in range(500)], range(8))]
    assert all(each == sorted(each) for each in made)
    assert len({ref_id for each in made for ref_id in each}) == 4000
