"""One Postgres cluster for the security tests alone, because they create logins with too many rights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from storekit import AsyncStore, Store
from storekit.bridge import settle
from storekit.testing import Memory, async_memory_store, memory_store
from tests.security.isolation_tables import matrix_database
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
def matrix_db(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Create the database of the tenant matrix; a test that changes it must roll back."""
    with matrix_database(cluster, tmp_path_factory.mktemp("isolation")) as database:
        yield database


@pytest.fixture(scope="session")
def hostile_postgres(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with hostile_database(cluster, tmp_path_factory.mktemp("hostile")) as database:
        yield database


@pytest.fixture(params=LEGS)
async def leg(request: pytest.FixtureRequest) -> AsyncIterator[Leg]:
    """Yield a leg, then check that the sentinel table and the rows of the other tenant are unchanged."""
    api, _, where = str(request.param).partition("-")
    if where == "memory":
        memory = Memory()
        make = memory_store if api == "sync" else async_memory_store
        found = await Leg(make(*ENTITIES, memory=memory), memory.fetch, servers=False).saved_by_other_tenant()
        yield found
        await found.check()
        return
    database: Database = request.getfixturevalue("hostile_postgres")
    embedded: Store = request.getfixturevalue("embedded")
    urls = {f"postgres{what}_url": SecretStr(database.url(login)) for what, login in _LOGINS.items()}
    settings = embedded.settings.model_copy(update=urls)
    store = Store.open(settings) if api == "sync" else AsyncStore.open(settings)
    found = await Leg(store, over_http, servers=True).saved_by_other_tenant()
    with database.connect("postgres") as watch:
        before = state(watch)
        yield found
        await found.check()
        await settle(store.close())
        assert state(watch) == before
