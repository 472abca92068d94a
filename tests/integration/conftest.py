"""Servers and databases that the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storekit import Settings, Store
from storekit.drivers.s3.control import ensure_bucket
from tests.integration.evolving import Evolving, copied, start
from tests.support.postgres import Database, fresh_cluster, migrated_database, sample_database
from tests.support.shipped import shipped_database
from tests.support.write_api import Api


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Start one Postgres cluster without storekit; each module creates its own database in it."""
    with fresh_cluster() as url:
        yield url


@pytest.fixture(scope="module")
def database(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Create a database with storekit and the tables of these tests."""
    with sample_database(cluster, tmp_path_factory.mktemp("lines")) as made:
        yield made


@pytest.fixture(scope="session")
def reference(cluster: str) -> Iterator[Database]:
    """Create a database with the shipped schema; a test that changes it must roll back."""
    with shipped_database(cluster) as database:
        yield database


@pytest.fixture(scope="session")
def notes(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evolving]:
    """Create a database with the tables of the `sql_notes` classes; tests use copies of it."""
    with migrated_database(cluster) as fresh:
        yield start(fresh, tmp_path_factory.mktemp("notes") / "app")


@pytest.fixture
def evolving(notes: Evolving, tmp_path: Path) -> Iterator[Evolving]:
    """Copy that database for one test."""
    with copied(notes, tmp_path / "app") as copy:
        yield copy


@pytest.fixture
def api(database: Database) -> Iterator[Api]:
    """Call the write API as the app, over one connection."""
    with database.connect() as connection:
        yield Api(connection)


@pytest.fixture(scope="session")
def s3(embedded: Store) -> Settings:
    """Create a bucket for one test on the stack's S3 server."""
    settings = embedded.settings.model_copy(update={"s3_bucket": "records"})
    ensure_bucket(settings)
    return settings
