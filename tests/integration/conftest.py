"""Servers that the tests of single stores share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sql_api import Api
from sql_database import Database, fresh_cluster, fresh_database, set_up

from storekit import Settings, Store
from storekit.drivers.s3.control import ensure_bucket


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Run one Postgres cluster without storekit; each module makes a database of its own in it."""
    with fresh_cluster() as url:
        yield url


@pytest.fixture(scope="module")
def database(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Make a database with storekit and the tables of these tests."""
    with fresh_database(cluster) as fresh:
        yield set_up(fresh, tmp_path_factory.mktemp("lines"))


@pytest.fixture
def api(database: Database) -> Iterator[Api]:
    """Call the write API as the app, over one connection."""
    with database.connect() as connection:
        yield Api(connection)


@pytest.fixture(scope="session")
def s3(embedded: Store) -> Settings:
    """Give a bucket of its own on the stack's S3 server."""
    settings = embedded.settings.model_copy(update={"s3_bucket": "records"})
    ensure_bucket(settings)
    return settings
