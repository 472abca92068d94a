"""Servers that the tests of single stores share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sql_database import fresh_cluster

from storekit import Settings, Store
from storekit.drivers.s3.control import ensure_bucket


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Run one Postgres cluster without storekit; each module makes a database of its own in it."""
    with fresh_cluster() as url:
        yield url


@pytest.fixture(scope="session")
def s3(embedded: Store) -> Settings:
    """Give a bucket of its own on the stack's S3 server."""
    settings = embedded.settings.model_copy(update={"s3_bucket": "records"})
    ensure_bucket(settings)
    return settings
