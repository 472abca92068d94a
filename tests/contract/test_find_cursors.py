"""A page cursor is valid only for the query that returned it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any
from uuid import uuid4
from zlib import compress, decompress

import pytest

from storekit import ValidationError, ge, lt
from tests.contract.leads import lead
from tests.support.draft_models import Draft
from tests.support.entities import Lead, Run
from tests.support.harness import Harness, steps, trips

OTHERS: dict[str, Callable[[Harness], tuple[Any, dict[str, Any]]]] = {
    "another value": lambda harness: (harness.repository(Lead), {"where": {"score": lt(4)}}),
    "another filter": lambda harness: (harness.repository(Lead), {"where": {"score": ge(5)}}),
    "no filter": lambda harness: (harness.repository(Lead), {}),
    "another column": lambda harness: (harness.repository(Lead), {"where": {"worth": lt(Decimal(5))}}),
    "the other direction": lambda harness: (
        harness.repository(Lead),
        {"where": {"score": lt(5)}, "order_by": "due"},
    ),
    "another order": lambda harness: (
        harness.repository(Lead),
        {"where": {"score": lt(5)}, "order_by": "-score"},
    ),
    "with hidden records": lambda harness: (
        harness.repository(Lead),
        {"where": {"score": lt(5)}, "deleted": True, "order_by": "-due"},
    ),
    "another tenant": lambda harness: (
        harness.repository(Lead, tenant=uuid4()),
        {"where": {"score": lt(5)}, "order_by": "-due"},
    ),
    "another class": lambda harness: (harness.repository(Run), {"where": {"score": lt(5)}}),
}


async def test_a_cursor_of_another_query_is_refused(harness: Harness) -> None:
    """A cursor is valid for its class, tenant, filters and order; the limit may change."""
    leads = harness.repository(Lead)
    await leads.save_many(map(lead, range(6)))
    page = await leads.find({"score": lt(5)}, order_by="-due", limit=2)
    with steps() as seen:
        for what, make in OTHERS.items():
            repository, query = make(harness)
            with pytest.raises(ValidationError, match="after: it is not a cursor of this query") as caught:
                await repository.find(after=page.next, **query)
            assert caught.value.field == "after", what
    assert not trips(seen)
    rest = await leads.find({"score": lt(5)}, order_by="-due", limit=100, after=page.next)
    assert (len(rest), rest.next) == (4, None)


async def test_a_forged_cursor_is_refused(harness: Harness) -> None:
    """A truncated, changed or invented cursor raises ValidationError, and nothing is sent."""
    leads = harness.repository(Lead)
    await leads.save_many(map(lead, range(6)))
    cursor = (await leads.find(order_by="-due", limit=2)).next
    plain: list[Any] = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    values: list[Any] = [None, 1, True, "x", [], {}, 1.5, "2026-01-01"]
    changed = [[plain[0], *rest] for rest in product(values, repeat=2)]
    bad: list[Any] = [
        *(cursor[:i] for i in range(0, len(cursor), 7)), cursor + "A", cursor + "=", f" {cursor}",
        cursor[::-1], cursor.swapcase(), "", "x", "é", "\0", "A" * 16_385, "W" * 16_384, 1, b"x", [], {},
        cursor.encode(), True,
        *map(sealed, [*changed, plain[1:], [plain[0]], [], {}, None, 1, [*plain, 1], [None, *plain[1:]]]),
        urlsafe_b64encode(b"[" * 12_000).decode(), urlsafe_b64encode(b"1" * 12_000).decode(),
        urlsafe_b64encode(b"\xff\xfe").decode(), urlsafe_b64encode(b"NaN").decode(),
    ]  # fmt: skip
    with steps() as seen:
        for after in bad:
            with pytest.raises(ValidationError, match="after: it is not a cursor of this query"):
                await leads.find(order_by="-due", after=after)
    assert not trips(seen)


def sealed(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("text", ["x" * 20_000, "aé😀" * 30_000, "\x01" * 200_000, "x" * 200_000])
async def test_a_page_may_end_with_a_long_text(harness: Harness, text: str) -> None:
    """A long text that the index of a natural key accepts does not hide the pages of that order."""
    drafts = harness.repository(Draft)
    names = ["a", text, f"{text}b", "zz"]
    await drafts.save_many([Draft(name=each) for each in names])
    seen, page = list[str](), await drafts.find(order_by="name", limit=1)
    while page.next:
        assert len(page.next) <= 16_384
        seen += [each.name for each in page]
        page = await drafts.find(order_by="name", limit=1, after=page.next)
    assert sorted([*seen, *(each.name for each in page)]) == sorted(names)


async def test_a_forged_compressed_cursor_is_refused(harness: Harness) -> None:
    """A compressed cursor that was changed, or that a client made, is refused without much work."""
    drafts = harness.repository(Draft)
    await drafts.save_many([Draft(name=each * 20_000) for each in "abc"])
    cursor = (await drafts.find(order_by="name", limit=1)).next
    assert cursor.startswith("~")
    plain = decompress(urlsafe_b64decode(cursor[1:] + "=" * (-len(cursor[1:]) % 4)))
    digest = plain.decode()[2:34]
    texts = [
        b"", plain[:-1], plain + b" ", plain.replace(b"aa", b"ab", 1), plain.replace(b",", b", ", 1),
        b"[" * 1_000_000, b"0" * 100_000_000, b"\xff", f'["{digest}","a"]'.encode(),
    ]  # fmt: skip
    made = [urlsafe_b64encode(compress(each)).decode() for each in texts]
    bad = [
        "~", "~A", f"~{cursor}", cursor[1:], f"~~{cursor[1:]}", f"{cursor}A", f"{cursor}=", cursor[:-1],
        *(f"~{each}" for each in made), *(f"~{each.rstrip('=')}" for each in made), f"~{made[0]}{cursor[1:]}",
    ]  # fmt: skip
    with steps() as seen:
        for after in bad:
            with pytest.raises(ValidationError, match="after: it is not a cursor of this query"):
                await drafts.find(order_by="name", after=after)
    assert not trips(seen)


async def test_a_cursor_that_would_be_too_long_is_refused(harness: Harness) -> None:
    """A page whose cursor would exceed 16 KB raises an error instead of returning an unusable cursor."""
    runs = harness.repository(Run)
    await runs.save_many([Run(name=Random(i).randbytes(20_000).hex()) for i in range(3)])
    assert len(await runs.find(order_by="name", unindexed=True)) == 3
    with pytest.raises(ValidationError, match="the limit is 16384"):
        await runs.find(order_by="name", unindexed=True, limit=1)
    await runs.save_many([Run(name="x" * 3_000_000) for _ in range(2)])
    with pytest.raises(ValidationError, match="bytes; the limit is 2097152"):
        await runs.find(order_by="-name", unindexed=True, limit=1)
