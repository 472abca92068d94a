"""find and count refuse invalid arguments before anything is sent."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import UsageError, ValidationError, contains, has_key, in_, is_null, json_path, lt, prefix
from tests.support.entities import Everything, Lead, Report
from tests.support.harness import Harness, steps, trips

pytestmark = pytest.mark.refusals

UID = UUID(int=7)
REFUSED: list[tuple[Any, type[Exception], str]] = [
    ({"nmae": "x"}, ValidationError, "Lead.nmae: no such column; Lead has id, ref_id"),
    ({"tenant_id": UID}, ValidationError, "the scope sets the tenant"),
    ({"notes": {"a": 1}}, ValidationError, "it is a document; only columns"),
    ({"__class__": 1}, ValidationError, "no such column"),
    ({"team.name": "x"}, ValidationError, "no such column"),
    ({"runs.ref_id": "x"}, ValidationError, "leads has run.ref_id, lead.ref_id"),
    ({"run.ref_id": "x"}, ValidationError, "a ULID of 26 characters"),
    ({"run.ref_id": in_("x")}, ValidationError, "pass one ref_id"),
    ({"run.name": "x"}, ValidationError, "no such column"),
    ({"report.ref_id": "0" * 26}, UsageError, "was declared with a table name"),
    ({1: 2}, ValidationError, "Lead.1: no such column"),
    ({"score": "many"}, ValidationError, "Lead.score: it must be int, not str"),
    ({"score": in_("1", "many")}, ValidationError, "Lead.score: it must be int, not str"),
    ({"score": {"$gt": 0}}, ValidationError, "it must be int, not dict"),
    ({"team": {"$ne": None}}, ValidationError, "it must be str, not dict"),
    ({"team": ["a"]}, ValidationError, r"one value, not list; for several values write in_\(a, b\)"),
    ({"team": "a\0"}, ValidationError, "U\\+0000"),
    ({"team": lt(None)}, ValidationError, "None cannot be compared"),
    ({"team": in_("a", None)}, ValidationError, "None cannot be compared"),
    ({"team": in_(["a", "b"])}, ValidationError, "as separate arguments: in_"),
    ({"team": lt(lt("a"))}, ValidationError, "it must be str, not Filter"),
    ({"team": contains("a")}, ValidationError, "needs a list column"),
    ({"team": has_key("a")}, ValidationError, "needs a JSON column"),
    ({"stage": "gone"}, ValidationError, "'gone' is not one of new, won, lost"),
    ({"stage": prefix("n")}, ValidationError, "needs a str column"),
    ({"score": prefix("n")}, ValidationError, "needs a str column"),
    ({"due": datetime(2026, 1, 1)}, ValidationError, "the time has no time zone"),
    ({"score": in_(*range(10_001))}, ValidationError, "at most 10,000 values, got 10,001"),
    ("score", UsageError, "must map columns to values"),
    ([("score", 1)], UsageError, "must map columns to values"),
]


async def test_an_invalid_filter_is_refused(harness: Harness) -> None:
    """An unknown column, a value of another type and an operator in JSON are refused; nothing is sent."""
    leads = harness.repository(Lead)
    with steps() as seen:
        for call, (where, error, why) in product((leads.find, leads.count), REFUSED):
            with pytest.raises(error, match=why):
                await call(where)
    assert not trips(seen)


async def test_json_filters_take_only_json(harness: Harness) -> None:
    """A JSON filter has keys as its path, texts as keys and JSON as its value."""
    everything = harness.repository(Everything)
    for value in (
        json_path("", 1),
        json_path("a..b", 1),
        json_path(1, 1),  # type: ignore[arg-type]
        json_path(".".join("a" * 65), 1),
        json_path("a", uuid4()),
        json_path("a", float("nan")),
        has_key(1),  # type: ignore[arg-type]
        has_key("\0"),
        in_({"a": 1}),
        lt({"a": 1}),
    ):
        with pytest.raises(ValidationError, match=r"Everything\.tree"):
            await everything.find({"tree": value})
    with pytest.raises(ValidationError, match=r"Everything\.texts"):
        await everything.find({"texts": in_(["a"])})
    with pytest.raises(UsageError, match="True or False"):
        is_null("no")  # type: ignore[arg-type]


async def test_a_limit_must_be_from_1_to_1000(harness: Harness) -> None:
    """Any other limit, and a `load` with names that are not documents, are refused."""
    reports = harness.repository(Report)
    for limit in (0, -1, 1001, True, "5", None, 1.0):
        with pytest.raises(UsageError, match="from 1 to 1000"):
            await reports.find(limit=limit)
    for load in ("body", ["pdf"], ["title"], [None]):
        with pytest.raises(UsageError):
            await reports.find(load=load)
