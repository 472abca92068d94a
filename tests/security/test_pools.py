"""A pooled connection keeps no state of the last tenant, and no caller receives another caller's result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import psycopg_pool
import pytest
from pydantic import SecretStr

from storekit import AsyncStore, NotFound, Settings, Store
from storekit.agency import ActivityRun
from storekit.bridge import settle
from storekit.drivers.postgres.queries import reads
from tests.security.isolation_catalogue import relations
from tests.security.isolation_tables import MINE, THEIRS
from tests.support.pool_connections import pool_of
from tests.support.postgres import Database

SET = "SELECT set_config('storekit.tenant', %s, true)"
SET_FOR_THE_SESSION = "SELECT set_config('storekit.tenant', $1, false)"
APIS = pytest.mark.parametrize("api", ["sync", "async"])


@pytest.fixture(scope="module")
def readable(matrix_db: Database) -> list[str]:
    """Return every relation that the app may read and that contains only rows of tenants."""
    with matrix_db.connect("postgres") as connection:
        names = [each.name for each in relations(connection) if each.tenanted]
        own = "SELECT n FROM unnest(%s::text[]) AS n WHERE has_table_privilege('app', n, 'SELECT')"
        shared = "SELECT schema_name || '.' || table_name FROM storekit.managed WHERE scope = 'global'"
        rows = connection.execute(f"{own} EXCEPT {shared}".encode(), [names]).fetchall()
    assert len(rows) > 10
    return [name for (name,) in rows]


def rows_query(readable: list[str]) -> bytes:
    return " UNION ALL ".join(f"SELECT '{name}' FROM {name}" for name in readable).encode()


@pytest.fixture
def pool(matrix_db: Database) -> Iterator[psycopg_pool.ConnectionPool[psycopg.Connection[Any]]]:
    with psycopg_pool.ConnectionPool(matrix_db.url("app"), min_size=1, max_size=1, open=True) as pool:
        yield pool


def _commits(connection: psycopg.Connection[Any], readable: list[str]) -> None:
    with connection.transaction():
        connection.execute(SET, [str(MINE)])
        assert {name for (name,) in connection.execute(rows_query(readable)).fetchall()} >= {"sales.chances"}


def _fails(connection: psycopg.Connection[Any], readable: list[str]) -> None:
    with suppress(psycopg.Error), connection.transaction():
        connection.execute(SET, [str(MINE)])
        connection.execute("SELECT 1 / 0")


def _leaves_it_open(connection: psycopg.Connection[Any], readable: list[str]) -> None:
    connection.execute(SET, [str(MINE)])
    connection.execute(rows_query(readable)).fetchall()


def _leaves_it_broken(connection: psycopg.Connection[Any], readable: list[str]) -> None:
    connection.execute(SET, [str(MINE)])
    with suppress(psycopg.Error):
        connection.execute("SELECT 1 / 0")


def _sets_local_outside_a_transaction(connection: psycopg.Connection[Any], readable: list[str]) -> None:
    connection.autocommit = True
    connection.execute(f"SET LOCAL storekit.tenant = '{MINE}'".encode())
    connection.autocommit = False


BORROWERS = (_commits, _fails, _leaves_it_open, _leaves_it_broken, _sets_local_outside_a_transaction)


@pytest.mark.filterwarnings("ignore:rolling back")
@pytest.mark.parametrize("borrower", BORROWERS)
def test_the_next_user_of_a_connection_sees_no_rows(pool: Any, readable: list[str], borrower: Any) -> None:
    """After a commit, an error or an open transaction the next user of the connection sees no rows."""
    with pool.connection() as connection:
        borrower(connection, readable)
        process = connection.info.backend_pid
    with pool.connection() as connection:
        assert connection.info.backend_pid == process
        assert connection.execute(rows_query(readable)).fetchall() == []


def test_the_check_detects_session_settings(pool: Any, readable: list[str]) -> None:
    """psycopg's pool passes a session-level setting on, and the check detects it."""
    with pool.connection() as connection:
        connection.execute("SELECT set_config('storekit.tenant', %s, false)", [str(MINE)])
    with pool.connection() as connection:
        assert connection.execute(rows_query(readable)).fetchall()


@asynccontextmanager
async def opened(matrix_db: Database, api: str, connections: int = 1) -> AsyncIterator[Store | AsyncStore]:
    """Open a store as the app, with this many connections."""
    settings = Settings(postgres_url=SecretStr(matrix_db.url("app")), pool_size=connections)
    if api == "sync":
        with Store.open(settings) as store:
            yield store
    else:
        async with AsyncStore.open(settings) as later:
            yield later


def runs(store: Store | AsyncStore, tenant: UUID) -> Any:
    return store.scope(tenant=tenant, actor="agent:writer").repository(ActivityRun)


async def lent(store: Store | AsyncStore, query: bytes) -> list[Any]:
    """Take the connection of a store's pool, and return everything that it can read."""
    pool = pool_of(store)
    connection = await settle(pool.take())
    try:
        cursor = await settle(connection.execute(query))
        rows: list[Any] = await settle(cursor.fetchall())
        return rows
    finally:
        await settle(pool.give_back(connection))


async def _works(store: Store | AsyncStore, matrix_db: Database) -> str:
    """Read and write in one tenant, then cause an error in it."""
    mine = runs(store, MINE)
    saved = await settle(mine.save(ActivityRun(activity="a", agent="b")))
    assert (await settle(mine.get(saved.ref_id))).agent == "b"
    with pytest.raises(NotFound):
        await settle(mine.update("0" * 26, {"agent": "c"}))
    await settle(mine.delete(saved.ref_id))
    return str(saved.ref_id)


@APIS
async def test_a_store_leaves_no_tenant_on_its_connection(
    matrix_db: Database, readable: list[str], api: str
) -> None:
    """After reads, writes and refusals the store's connection shows no row of any tenant."""
    async with opened(matrix_db, api) as store:
        await _works(store, matrix_db)
        await settle(runs(store, MINE).history(await _works(store, matrix_db)))
        assert await lent(store, rows_query(readable)) == []


@APIS
async def test_the_check_detects_a_store_with_session_settings(
    matrix_db: Database, readable: list[str], api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the store used SET instead of SET LOCAL, the check would find rows."""
    monkeypatch.setattr(reads, "SET_TENANT", SET_FOR_THE_SESSION)
    async with opened(matrix_db, api) as store:
        ((ref_id,),) = matrix_db.ask("SELECT ref_id FROM activity_runs WHERE tenant_id = %s LIMIT 1", MINE)
        await settle(runs(store, MINE).get(ref_id))
        assert ("public.activity_runs",) in await lent(store, rows_query(readable))


@pytest.mark.parametrize("connections", [1, 2])
async def test_tasks_of_two_tenants_share_connections(matrix_db: Database, connections: int) -> None:
    """Tasks that share one or two connections read and write only the records of their own tenant."""
    async with opened(matrix_db, "async", connections) as store:

        async def work(tenant: UUID) -> list[str]:
            own, seen = runs(store, tenant), []
            for n in range(25):
                saved = await own.save(ActivityRun(activity=str(tenant), agent=f"{n}"))
                found = await own.get(saved.ref_id)
                assert (found.activity, found.tenant_id) == (str(tenant), tenant)
                seen.append(saved.ref_id)
            return seen

        tenants = [uuid4(), uuid4()]
        made = await asyncio.gather(*(work(tenant) for tenant in tenants * 2))
        for ref_id in made[0] + made[2]:
            with pytest.raises(NotFound):
                await runs(store, tenants[1]).get(ref_id)
    rows = matrix_db.ask("SELECT tenant_id, activity FROM activity_runs WHERE tenant_id = ANY (%s)", tenants)
    assert len(rows) == 100
    assert {(str(tenant), activity) for tenant, activity in rows} == {(str(t), str(t)) for t in tenants}


@pytest.mark.parametrize("connections", [1, 2])
def test_threads_of_two_tenants_share_connections(matrix_db: Database, connections: int) -> None:
    """Threads that share one or two connections read and write only the records of their own tenant."""
    settings = Settings(postgres_url=SecretStr(matrix_db.url("app")), pool_size=connections)
    tenants, wrong = [uuid4(), uuid4()], list[Any]()
    with Store.open(settings) as store:

        def work(tenant: UUID) -> None:
            own = runs(store, tenant)
            for n in range(25):
                found = own.get(own.save(ActivityRun(activity=str(tenant), agent=f"{n}")).ref_id)
                if (found.activity, found.tenant_id) != (str(tenant), tenant):
                    wrong.append(found)

        threads = [threading.Thread(target=work, args=[tenant]) for tenant in tenants * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    counts = matrix_db.ask(
        "SELECT tenant_id, activity, count(*) FROM activity_runs WHERE tenant_id = ANY (%s) GROUP BY 1, 2",
        tenants,
    )
    assert {(str(tenant), activity, n) for tenant, activity, n in counts} == {
        (str(t), str(t), 50) for t in tenants
    }


async def test_a_cancelled_call_leaves_no_tenant(matrix_db: Database, readable: list[str]) -> None:
    """A connection whose call was cancelled shows no row and returns no result of that call."""
    async with opened(matrix_db, "async", 2) as store:
        ((ref_id,),) = matrix_db.ask("SELECT ref_id FROM activity_runs WHERE tenant_id = %s LIMIT 1", THEIRS)
        for turns in range(1, 12):
            task = asyncio.create_task(runs(store, MINE).history("0" * 26))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError, NotFound):
                await task
            found = await runs(store, THEIRS).get(ref_id)
            assert (found.ref_id, found.tenant_id) == (ref_id, THEIRS)
            assert await lent(store, rows_query(readable)) == []
