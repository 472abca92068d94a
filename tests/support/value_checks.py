"""Save generated values by every way, and compare what is read: equal in value and class, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from storekit import StorekitError, ValidationError, in_
from storekit.bridge import settle
from storekit.model.save.changes import change_of
from tests.support.harness import steps, trips
from tests.support.value_models import Valued, values

Named = tuple[str, Any]
"""The name of a field, and its value."""
_DRAWN = 25
"""Values that are generated together."""
DOCUMENTS = [name for name in Valued.model_fields if name.endswith("_doc")]


def image(value: Any, *, cut: bool) -> Any:
    """Return what a read must keep: class and value, at every depth, except the documented cuts.

    It is written without the comparison of storekit, which it checks.

    Args:
        cut: times have milliseconds, as in documents.
    """
    match value:
        case BaseModel():
            extra = image(value.__pydantic_extra__ or {}, cut=cut)
            return type(value), {n: _field(value, n, cut) for n in type(value).model_fields}, extra
        case datetime() if value.tzinfo is not None:
            moment = value.astimezone(UTC)
            return "time", moment.replace(microsecond=moment.microsecond // 1000 * 1000) if cut else moment
        case Mapping():
            return type(value), {_key(key): image(each, cut=cut) for key, each in value.items()}
        case list() | tuple():
            return type(value), [image(each, cut=cut) for each in value]
        case set() | frozenset():
            return type(value), sorted((image(each, cut=cut) for each in value), key=repr)
        case float():
            return float, value.hex()
        case Decimal():
            return Decimal, value.as_tuple()
    return type(value), value


def _field(model: BaseModel, name: str, cut: bool) -> Any:
    value: Any = model.__dict__.get(name)
    # an int in a field of type float is read as float
    whole = type(value) is int and type(model).model_fields[name].annotation is float
    return image(float(value) if whole else value, cut=cut)


def _key(key: Any) -> Any:
    return str.__str__(key) if isinstance(key, str) else (type(key), key)


def facts(record: Valued, name: str) -> Any:
    return image(getattr(record, name), cut=name.endswith("_doc"))


def made(name: str, value: Any, key: str) -> Valued:
    """Return a new record with a value that no validator has seen."""
    record = Valued(name=key)
    record.__dict__[name] = value
    record.__pydantic_fields_set__.add(name)
    return record


@dataclass
class Tally:
    """How many values were stored, and how many refused."""

    stored: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def expect(self, way: str, name: str, given: Any, found: Valued) -> None:
        """Note a value that is read otherwise than it was given."""
        wanted = image(given, cut=name.endswith("_doc"))
        if facts(found, name) != wanted:
            self.wrong.append(f"{way} {name}: given {given!r}, read {getattr(found, name)!r}")


def generated(count: int) -> list[Named]:
    """Generate values for a test that is no property test itself, because each batch needs servers."""
    drawn: list[list[Named]] = []

    @settings(
        max_examples=count // _DRAWN + 1,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(batch=st.lists(values, min_size=_DRAWN, max_size=_DRAWN))
    def draw(batch: list[Named]) -> None:
        drawn.append(batch)

    draw()
    return [value for batch in drawn[1:] for value in batch]  # the first example is the simplest one


async def check(records: Any, batch: Sequence[Named], tally: Tally) -> None:
    """Save the values by save_many, again by the same key, by update_many and by upsert; find them each time.

    Values that cannot be stored must raise ValidationError at each of these calls, before any trip.
    """
    good: list[Named] = []
    for name, value in batch:
        before = image(value, cut=True)
        try:
            change_of(made(name, value, "x"), uuid4())
        except ValidationError:
            await _is_refused(records, name, value)
            tally.refused += 1
        else:
            good.append((name, value))
        assert image(value, cut=True) == before
    if good:
        await _is_stored(records, good, tally)
    tally.stored += len(good)
    assert not tally.wrong, tally.wrong[0]


async def _is_refused(records: Any, name: str, value: Any) -> None:
    ref_id = Valued(name="x").ref_id
    with steps() as seen:
        with pytest.raises(ValidationError, match=f"Valued.{name}"):
            await settle(records.save(made(name, value, "x")))
        with pytest.raises(ValidationError, match=f"Valued.{name}"):
            await settle(records.save_many([Valued(name="y"), made(name, value, "x")]))
        with pytest.raises(ValidationError, match=f"Valued.{name}"):
            await settle(records.update(ref_id, {name: value}))
    assert not trips(seen)


async def _is_stored(records: Any, good: Sequence[Named], tally: Tally) -> None:
    keys, token = [uuid4().hex for _ in good], uuid4().hex
    pairs = [*zip(keys, good, strict=True)]
    first = [made(name, deepcopy(value), key) for key, (name, value) in pairs]
    again = [made(name, deepcopy(value), key) for key, (name, value) in pairs]
    saved = await settle(records.save_many(first, idempotency_key=token))
    replayed = await settle(records.save_many(again, idempotency_key=token))
    assert [each.ref_id for each in replayed] == [each.ref_id for each in saved]
    await _read(records, "save", pairs, tally)
    for (_, (name, value)), record in zip(pairs, replayed, strict=True):
        if name not in DOCUMENTS:
            tally.expect("replay", name, value, record)
    with steps() as seen:
        for record in await _found(records, keys):
            await settle(records.save(record))
    assert "postgres.commit" not in seen, "a record that was read and not changed was written"

    others = await settle(records.save_many([Valued(name="u" + key) for key in keys]))
    given = {each.ref_id: {name: value} for each, (name, value) in zip(others, good, strict=True)}
    await settle(records.update_many(given))
    await _read(records, "update", [("u" + key, one) for key, one in pairs], tally)

    emptied = [made(name, None, key) for key, (name, _) in pairs]
    await settle(records.upsert(emptied))
    await settle(records.upsert([made(name, deepcopy(value), key) for key, (name, value) in pairs]))
    await _read(records, "upsert", pairs, tally)


async def _found(records: Any, keys: Sequence[str]) -> list[Valued]:
    page = await settle(records.find({"name": in_(*keys)}, limit=1000, load=DOCUMENTS, unindexed=True))
    return list(page)


async def _read(records: Any, way: str, pairs: Sequence[tuple[str, Named]], tally: Tally) -> None:
    found = {each.name: each for each in await _found(records, [key for key, _ in pairs])}
    for key, (name, value) in pairs:
        tally.expect(way, name, value, found[key])


async def check_filters(records: Any, batch: Sequence[Named]) -> None:
    """Find each value of a jsonb column by itself."""
    for name, value in batch:
        record = made(name, value, uuid4().hex)
        try:
            await settle(records.save(record))
        except StorekitError:
            continue
        if name not in DOCUMENTS:
            found = await settle(records.count({"name": record.name, name: value}))
            assert found == 1, f"{name}: {value!r}"
