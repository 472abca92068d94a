"""find returns the same records in the same order on the servers and in memory."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storekit import (
    Repository,
    Store,
    ValidationError,
    between,
    contains,
    ge,
    gt,
    has_key,
    in_,
    is_null,
    json_path,
    le,
    lt,
    prefix,
)
from storekit.testing import memory_store
from tests.support.entities import ENTITIES, Everything
from tests.support.values import FIELDS, records

BATCH, LIMIT, QUERIES = 25, 7, 30
LISTS, TREES = ("texts", "numbers", "reals"), ("tree", "address")
PLAIN = [name for name in FIELDS if name not in (*LISTS, *TREES, "doc")]
slow = settings(
    max_examples=4,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.data_too_large,
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
    ],
)


@slow
@given(batch=st.lists(records, min_size=BATCH, max_size=BATCH), seed=st.integers(0, 2**32))
def test_memory_finds_what_the_servers_find(embedded: Store, batch: list[Everything], seed: int) -> None:
    """Random filters and orders find the same records on both, and each record once on all pages."""
    draw, tenant = Random(seed), uuid4()
    sides = []
    for store in (embedded, memory_store(*ENTITIES)):
        sides.append(store.scope(tenant=tenant, actor="test").repository(Everything))
        sides[-1].save_many([record.model_copy() for record in batch])
    wrong = []
    for _ in range(QUERIES):
        where, order_by = random_filters(draw, batch), random_order(draw)
        one, other = (all_ref_ids(repository, where, order_by) for repository in sides)
        if one != other or (one is not None and not len({*one}) == len(one) == sides[0].count(where)):
            wrong.append((where, order_by, one, other))
    assert wrong == []


def all_ref_ids(repository: Repository[Everything], where: dict[str, Any], order_by: Any) -> list[str] | None:
    """Return the ref_ids of all pages, or None if a number is too long for a cursor."""
    found: list[str] = []
    after = None
    while True:
        try:
            page = repository.find(where, order_by=order_by, limit=LIMIT, after=after, unindexed=True)
        except ValidationError as error:
            if error.field == "order_by":
                return None
            raise
        found += [record.ref_id for record in page]
        if page.next is None:
            return found
        after = page.next


def random_order(draw: Random) -> list[str] | None:
    names = draw.sample([*PLAIN, "id", "ref_id"], draw.randint(0, 3))
    return [draw.choice(["", "-"]) + name for name in names] or None


def random_filters(draw: Random, batch: list[Everything]) -> dict[str, Any]:
    """Return filters of up to two columns, with values that some records have."""
    found = {}
    for name in draw.sample([*PLAIN, *LISTS, *TREES], draw.choice([0, 1, 1, 2])):
        values = [value for each in batch if (value := getattr(each, name)) is not None]
        found[name] = random_filter(draw, name, values) if values else None
    return found


def random_filter(draw: Random, name: str, values: list[Any]) -> Any:
    one, other = draw.choice(values), draw.choice(values)
    words: list[Any] = [None, is_null(draw.random() < 0.5), one]
    if name in PLAIN:
        words += [lt(one), le(one), gt(one), ge(one), gt(one) & le(other), between(one, other)]
        words += [in_(one), in_(*draw.sample(values, len(values) // 2))]
    if name == "text":
        words += [prefix(one[:2]), prefix(one[:1])]
    if name in LISTS:
        words += [contains(*one[:2]), contains(*one, *other)]
    if name in TREES:
        plain = one if isinstance(one, dict) else one.model_dump()
        words += [has_key(key) for key in plain]
        words += [json_path(key, plain[key]) for key in plain if key and "." not in key]
    return draw.choice(words)
