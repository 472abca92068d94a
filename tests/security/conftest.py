"""One cluster of Postgres of its own for these tests, since they make logins that nobody should have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from storekit import AsyncStore, Store
from storekit.bridge import settle
from storekit.testing import Memory, async_memory_store, memory_store
from tests.security.isolation_tables import walled_database
from tests.security.legs import ENTITIES, Leg, hostile_database, state
from tests.support.harness import over_http
from tests.support.postgres import Database, fresh_cluster

LEGS = ("sync-servers", "async-servers", "sync-memory", "async-memory")
_LOGINS = {"": "app", "_admin": "admin", "_reporter": "reporter"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    with fresh_cluster() as url:
        yield url


@pytest.fixture(scope="session")
def walled(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Make the database of the tenant matrix; whoever changes it rolls back."""
    with walled_database(cluster, tmp_path_factory.mktemp("walls")) as database:
        yield database


@pytest.fixture(scope="session")
def hostile_postgres(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with hostile_database(cluster, tmp_path_factory.mktemp("hostile")) as database:
        yield database


@pytest.fixture(params=LEGS)
async def leg(request: pytest.FixtureRequest) -> AsyncIterator[Leg]:
    """Give a leg; afterwards the canary sings, and no row of another tenant has changed."""
    colour, _, where = str(request.param).partition("-")
    if where == "memory":
        memory = Memory()
        make = memory_store if colour == "sync" else async_memory_store
        found = await Leg(make(*ENTITIES, memory=memory), memory.fetch, servers=False).settled()
        yield found
        await found.check()
        return
    database: Database = request.getfixturevalue("hostile_postgres")
    embedded: Store = request.getfixturevalue("embedded")
    urls = {f"postgres{what}_url": SecretStr(database.url(login)) for what, login in _LOGINS.items()}
    settings = embedded.settings.model_copy(update=urls)
    store = Store.open(settings) if colour == "sync" else AsyncStore.open(settings)
    found = await Leg(store, over_http, servers=True).settled()
    with database.connect("postgres") as watch:
        before = state(watch)
        yield found
        await found.check()
        await settle(store.close())
        assert state(watch) == before
