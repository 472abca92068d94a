"""Many generated values, on servers."""

from __future__ import annotations

from uuid import uuid4

import pytest

from storekit import Store
from tests.support.adapters import APIS, opened, repository
from tests.support.value_checks import Tally, check, generated
from tests.support.value_models import Valued

BATCHES, BATCH = 20, 250


@pytest.mark.long
@pytest.mark.parametrize("api", APIS)
async def test_values_are_read_as_they_were_saved_or_refused(embedded: Store, api: str) -> None:
    """5,000 values for each API are read from the servers equal in value and class, or refused."""
    tally = Tally()
    async with opened(api, embedded.settings) as store:
        for _ in range(BATCHES):
            await check(repository(store, uuid4(), Valued), generated(BATCH), tally)
    assert tally.stored + tally.refused == BATCHES * BATCH
