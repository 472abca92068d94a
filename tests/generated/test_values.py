"""Generated values of generated shapes: what is saved is read back equal in value and class, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storekit import AsyncStore, Store
from storekit.testing import async_memory_store, memory_store
from tests.support.value_checks import Named, Tally, check, check_filters
from tests.support.value_models import Valued, values

EXAMPLES, BATCH = (200, 50) if settings().max_examples > 100 else (10, 20)
"""For each of two APIs: together 400 values, or 20,000 with the profile "thorough"."""
batches = settings(
    deadline=None,
    database=None,
    max_examples=EXAMPLES,
    phases=[Phase.generate],  # shrinking a batch would take minutes
    suppress_health_check=[*HealthCheck],
)
Leg = tuple[Store | AsyncStore, asyncio.Runner]


@pytest.fixture(scope="module", params=[memory_store, async_memory_store], ids=["sync", "async"])
def leg(request: pytest.FixtureRequest) -> Iterator[Leg]:
    with asyncio.Runner() as runner:
        yield request.param(Valued), runner


def records(store: Store | AsyncStore) -> Any:
    """Return the repository of a new tenant: a search does not read the records of earlier examples."""
    return store.scope(tenant=uuid4(), actor="user:tester").repository(Valued)


@batches
@given(batch=st.lists(values, min_size=BATCH, max_size=BATCH))
def test_values_are_read_as_they_were_saved_or_refused(leg: Leg, batch: list[Named]) -> None:
    """Save, replay, update, upsert and find keep value and class at every depth, or send nothing."""
    store, runner = leg
    runner.run(check(records(store), batch, Tally()))


@settings(batches, max_examples=2)
@given(batch=st.lists(values, min_size=BATCH, max_size=BATCH))
def test_values_are_found_by_themselves(leg: Leg, batch: list[Named]) -> None:
    """A jsonb column equals the value that was saved in it."""
    store, runner = leg
    runner.run(check_filters(records(store), batch))
