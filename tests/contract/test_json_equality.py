"""JSON's equality is not Python's: true, 1 and 1.0 are three values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from storekit import IdempotencyConflict, ValidationError, json_path
from tests.support.entities import Everything
from tests.support.harness import Harness, steps
from tests.support.value_checks import made
from tests.support.value_models import Channel, Everyday, Nested, ShellStep, Step, Valued

DIGITS: list[tuple[str, Any, Any]] = [
    ("real", 0.0, -0.0),
    ("reals", [1.0, 0.0], [1.0, -0.0]),
    ("money", Decimal("1.0"), Decimal("1.00")),
]
"""Fields, with two values that differ in their digits or their sign only."""
PAIRS: list[tuple[Any, Any]] = [(True, 1), (1, True), (0, False), (1, 1.0), (1.0, 1), (False, 0.0)]


async def test_a_change_of_class_is_a_change(harness: Harness) -> None:
    """A value that becomes an equal one of another class is written by save, update and upsert."""
    records = harness.repository(Valued)
    for before, after in PAIRS:
        for field in ("tree", "tree_doc"):
            saved = await records.save(made(field, {"a": [before]}, uuid4().hex))
            found = await records.get(saved.ref_id, load=["tree_doc"])
            setattr(found, field, {"a": [after]})
            await records.save(found)
            assert repr(await _read(records, saved, field)) == repr([after])
            await records.update(saved.ref_id, {field: {"a": [before]}})
            assert repr(await _read(records, saved, field)) == repr([before])
            (told,) = await records.upsert([made(field, {"a": [after]}, saved.name)])
            assert (
                repr(getattr(told, field)["a"]) == repr(await _read(records, saved, field)) == repr([after])
            )


async def _read(records: Any, saved: Valued, field: str) -> Any:
    return getattr(await records.get(saved.ref_id, load=["tree_doc"]), field)["a"]


async def test_a_negative_zero_is_a_change_or_refused(harness: Harness) -> None:
    """A document keeps the sign of zero; jsonb has no negative zero, so a column refuses it."""
    records = harness.repository(Valued)
    saved = await records.save(Valued(name="zero", tree={"a": 0.0}, tree_doc={"a": [0.0]}))
    found = await records.get(saved.ref_id, load=["tree_doc"])
    found.tree_doc = {"a": [-0.0]}
    await records.save(found)
    assert repr(await _read(records, saved, "tree_doc")) == "[-0.0]"
    found.tree = {"a": -0.0}
    with pytest.raises(ValidationError, match=r"Valued\.tree"):
        await records.save(found)


async def test_a_change_of_class_is_in_the_history(harness: Harness) -> None:
    """The event of a change from true to 1, or from 1 to 1.0, has both values."""
    records = harness.repository(Valued)
    for before, after in PAIRS:
        saved = await records.save(Valued(name=uuid4().hex, tree={"a": [before]}))
        saved.tree = {"a": [after]}
        await records.save(saved)
        assert saved.version == 2
        latest = (await records.history(saved.ref_id))[-1]
        assert (latest.version, latest.before.keys(), latest.after.keys()) == (2, {"tree"}, {"tree"})
        held = [image["tree"]["a"][0] for image in (latest.before, latest.after)]
        assert [str(each) for each in held] == [str(before), str(after)]
        assert [type(each) for each in held] == [
            Decimal if type(each) is float else type(each) for each in (before, after)
        ]


async def test_a_change_of_digits_or_sign_is_in_the_history(harness: Harness) -> None:
    """The event of a change that Postgres compares as equal, such as 1.0 to 1.00, names the field."""
    records = harness.repository(Everything)
    for field, before, after in DIGITS:
        saved = await records.save(Everything(**{field: before}))
        changed = await records.update(saved.ref_id, {field: after})
        assert (repr(getattr(changed, field)), changed.version) == (repr(after), 2)
        latest = (await records.history(saved.ref_id))[-1]
        assert (latest.before.keys(), latest.after.keys()) == ({field}, {field}), (before, after)
    assert [str(latest.before["money"]), str(latest.after["money"])] == ["1.0", "1.00"]


async def test_an_update_without_a_change_has_no_event(harness: Harness) -> None:
    """An update that writes equal values makes no version and no event."""
    records = harness.repository(Everything)
    values: dict[str, Any] = {
        "text": "x",
        "real": 1.5,
        "money": Decimal("1.50"),
        "reals": [1.0, 0.1],
        "tree": {"b": 1.5, "a": [True]},
    }
    saved = await records.save(Everything(**values))
    updated = await records.update(saved.ref_id, {**values, "tree": {"a": [True], "b": 1.5}})
    assert updated.version == 1
    assert [event.version for event in await records.history(saved.ref_id)] == [1]


async def test_numbers_in_the_history_are_exact(harness: Harness) -> None:
    """Fractional numbers inside of JSON are Decimal in the history, as those of columns are."""
    records = harness.repository(Everything)
    saved = await records.save(Everything(real=0.1, tree={"a": [0.1, {"b": 2.50}, 3]}, reals=[0.1]))
    after = (await records.history(saved.ref_id))[-1].after
    assert after["tree"] == {"a": [Decimal("0.1"), {"b": Decimal("2.5")}, 3]}
    assert (after["real"], after["reals"]) == (Decimal("0.1"), [Decimal("0.1")])


async def test_filters_compare_as_jsonb_does(harness: Harness) -> None:
    """A filter tells true from 1, and finds 1 by 1.0; a member of an enum stands for its value."""
    records = harness.repository(Valued)
    for name, value in (("true", True), ("one", 1), ("float", 1.0), ("text", "mail")):
        await records.save(Valued(name=name, tree={"a": value}))
    for wanted, names in ((True, {"true"}), (1, {"one", "float"}), (1.0, {"one", "float"})):
        for where in ({"tree": json_path("a", wanted)}, {"tree": {"a": wanted}}):
            assert {each.name for each in await records.find(where)} == names, wanted
    assert [each.name for each in await records.find({"tree": json_path("a", Channel.MAIL)})] == ["text"]


async def test_requests_that_differ_in_class_are_different(harness: Harness) -> None:
    """An idempotency key cannot be used again for a request in which true has become 1."""
    records = harness.repository(Valued)
    for field in ("tree", "tree_doc"):
        key = uuid4().hex
        await records.save(made(field, {"a": True}, uuid4().hex), idempotency_key=key)
        with pytest.raises(IdempotencyConflict):
            await records.save(made(field, {"a": 1}, key), idempotency_key=key)


async def test_the_order_of_a_set_is_no_change(harness: Harness) -> None:
    """A set with the same items in another order of iteration is unchanged, and the same request."""
    records = harness.repository(Valued)
    words = [f"w{i}" for i in range(40)]
    one, other = (Everyday(texts=set(dict.fromkeys(each))) for each in (words, words[::-1]))
    for field in ("everyday", "everyday_doc"):
        key = uuid4().hex
        saved = await records.save(made(field, one, key), idempotency_key=key)
        again = await records.save(made(field, other, key), idempotency_key=key)
        assert again.ref_id == saved.ref_id
        setattr(saved, field, other)
        with steps() as seen:
            await records.save(saved)
        assert "postgres.commit" not in seen


async def test_an_edit_in_place_that_would_be_lost_is_refused(harness: Harness) -> None:
    """A subclass that replaces an item without changing what is stored is refused, not ignored."""
    records = harness.repository(Valued)
    saved = await records.save(Valued(name="in place", nested_doc=Nested(steps=[Step(name="build")])))
    found = await records.get(saved.ref_id, load=["nested_doc"])
    found.nested_doc.steps[0] = ShellStep(name="build", command="make all")
    with (
        steps() as seen,
        pytest.raises(ValidationError, match=r"steps\[0\]: ShellStep would be read as Step"),
    ):
        await records.save(found)
    assert not seen
