"""Concurrent units of work: joined transactions, races, deadlocks, the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, nullcontext, suppress
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit import AsyncStore, Blob, Conflict, NotFound, Settings, Store, Unavailable, UsageError
from storekit.bridge import settle
from tests.support.entities import Lead, Note, Run, Tariff

APIS = ("sync", "async")


@pytest.fixture(params=APIS)
async def store(embedded: Store, request: pytest.FixtureRequest) -> AsyncIterator[Store | AsyncStore]:
    """Open a sync or async store with one connection in its pool."""
    settings = embedded.settings.model_copy(
        update={"pool_size": 1, "pool_min": 1, "pool_wait": embedded.settings.renew_every}
    )
    opened = Store.open(settings) if request.param == "sync" else AsyncStore.open(settings)
    yield opened
    await settle(opened.close())


@pytest.fixture
def tenant() -> UUID:
    return uuid4()


@asynccontextmanager
async def unit(store: Store | AsyncStore, tenant: UUID, within: Any = None) -> AsyncIterator[Any]:
    """Enter a unit of work of the sync or async API."""
    tx: Any = store.scope(tenant=tenant, actor="agent:writer").transaction(within=within)
    if isinstance(store, AsyncStore):
        async with tx:
            yield tx
    else:
        with tx:
            yield tx


async def count(store: Store | AsyncStore, tenant: UUID, entity: type[Any] = Run) -> int:
    found: int = await settle(store.scope(tenant=tenant, actor="test").repository(entity).count())
    return found


def url(settings: Settings) -> str:
    assert settings.postgres_url is not None
    return settings.postgres_url.get_secret_value()


@asynccontextmanager
async def connected(store: Store | AsyncStore) -> AsyncIterator[Any]:
    """Open a sync or async connection of the user's own."""
    if isinstance(store, AsyncStore):
        async with await psycopg.AsyncConnection.connect(url(store.settings)) as connection:
            yield connection
    else:
        with psycopg.connect(url(store.settings)) as connection:
            yield connection


async def test_a_unit_can_join_a_transaction(store: Store | AsyncStore, tenant: UUID) -> None:
    """A unit in the user's transaction becomes visible with its commit and is undone by its rollback."""
    async with connected(store) as connection:
        await settle(connection.execute("SELECT 1"))
        async with unit(store, tenant, within=connection) as tx:
            run = tx.save(Run(name="x"))
            tx.save(Note(title="n", content=Blob("n")))
        assert run.version == 1
        assert await count(store, tenant) == 0
        await settle(connection.commit())
        assert await count(store, tenant) == 1
        await settle(connection.execute("SELECT 1"))
        async with unit(store, tenant, within=connection) as tx:
            tx.save(Run(name="y"))
            assert await settle(tx.connection) is connection
        await settle(connection.rollback())
    assert (await count(store, tenant), await count(store, tenant, Note)) == (1, 1)


async def test_a_unit_begins_the_transaction_that_psycopg_has_not_begun(
    store: Store | AsyncStore, tenant: UUID
) -> None:
    """Without autocommit a connection need not have run a statement; its isolation level applies."""
    async with connected(store) as connection:
        await settle(connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ))
        async with unit(store, tenant, within=connection) as tx:
            tx.save(Run(name="x"))
        cursor = await settle(connection.execute("SHOW transaction_isolation"))
        assert await settle(cursor.fetchone()) == ("repeatable read",)
        assert await count(store, tenant) == 0
        await settle(connection.commit())
        assert await count(store, tenant) == 1
        with pytest.raises(ZeroDivisionError):
            await _fail(store, tenant, connection, "code")
        async with unit(store, tenant, within=connection) as tx:
            tx.save(Run(name="y"))
        await settle(connection.rollback())
        async with connection.transaction() if isinstance(store, AsyncStore) else nullcontext():
            with nullcontext() if isinstance(store, AsyncStore) else connection.transaction():
                async with unit(store, tenant, within=connection) as tx:
                    tx.save(Run(name="z"))
    assert await count(store, tenant) == 2


async def test_a_failed_unit_leaves_the_joined_transaction_usable(
    store: Store | AsyncStore, tenant: UUID
) -> None:
    """Other changes of the transaction are kept; the changes of the unit are undone."""
    async with connected(store) as connection:
        await settle(connection.execute("CREATE TEMPORARY TABLE mine (n int)"))
        for wrong in ("code", "sql", "save"):
            await settle(connection.execute("INSERT INTO mine VALUES (1)"))
            with pytest.raises((ZeroDivisionError, psycopg.errors.DivisionByZero, Conflict)):
                await _fail(store, tenant, connection, wrong)
        cursor = await settle(connection.execute("SELECT count(*) FROM mine"))
        assert await settle(cursor.fetchone()) == (3,)
        await settle(connection.commit())
    assert await count(store, tenant) == 0


async def _fail(store: Store | AsyncStore, tenant: UUID, connection: Any, how: str) -> None:
    async with unit(store, tenant, within=connection) as tx:
        tx.save(Run(name="x"))
        own = await settle(tx.connection)
        if how == "code":
            raise ZeroDivisionError
        if how == "sql":
            await settle(own.execute("SELECT 1 / 0"))
        lead = Lead(number="1")
        tx.save(lead)
        await settle(tx.flush())
        tx.update(Lead, lead.ref_id, {"score": 1}, expected_version=7)


async def test_a_unit_can_join_another_unit(store: Store | AsyncStore, tenant: UUID) -> None:
    """A unit that joins another unit can fail alone, and is visible with the outer unit only."""
    async with unit(store, tenant) as outer:
        outer.save(Run(name="outer"))
        connection = await settle(outer.connection)
        for name in ("a", "b"):
            with pytest.raises(ZeroDivisionError):
                await _fail(store, tenant, connection, "code")
            async with unit(store, tenant, within=connection) as inner:
                inner.save(Run(name=name))
    assert await count(store, tenant) == 3


async def test_invalid_connections_cannot_be_joined(store: Store | AsyncStore, tenant: UUID) -> None:
    """No connection, a closed one, autocommit, a failed transaction or another tenant's raise UsageError."""
    other: Any = psycopg.connect(url(store.settings)) if isinstance(store, AsyncStore) else object()
    async with connected(store) as connection:
        for wrong, message in (
            (other, "must be a psycopg"),
            (7, "must be"),
        ):
            with pytest.raises(UsageError, match=message):
                await _save_within(store, tenant, wrong)
        await settle(connection.set_autocommit(True))
        with pytest.raises(
            UsageError, match=r"nothing would commit the unit; begin one: .*atomic\(\) \(Django\)"
        ):
            await _save_within(store, tenant, connection)
        await settle(connection.set_autocommit(False))
        with pytest.raises(psycopg.errors.DivisionByZero):
            await settle(connection.execute("SELECT 1 / 0"))
        with pytest.raises(UsageError, match="transaction to join has failed.*roll it back"):
            await _save_within(store, tenant, connection)
        await settle(connection.rollback())
        await settle(connection.execute("SELECT set_config('storekit.tenant', %s, true)", (str(uuid4()),)))
        with pytest.raises(UsageError, match="another tenant"):
            await _save_within(store, tenant, connection)
        await settle(connection.rollback())
    with pytest.raises(UsageError, match="closed"):
        await _save_within(store, tenant, connection)
    if isinstance(store, AsyncStore):
        other.close()
    assert await count(store, tenant) == 0


async def _save_within(store: Store | AsyncStore, tenant: UUID, within: Any) -> None:
    async with unit(store, tenant, within=within) as tx:
        tx.save(Run(name="never"))


async def test_the_admins_unit_writes_global_records(store: Store | AsyncStore) -> None:
    """store.admin(...) has units too; the unit of a tenant refuses to save a global record."""
    admin: Any = store.admin(actor="root").transaction()
    tariff, other = Tariff(name="a"), Tariff(name="b")
    if isinstance(store, AsyncStore):
        async with admin as tx:
            tx.save(tariff)
            await tx.connection
            tx.save(other)
    else:
        with admin as tx:
            tx.save(tariff)
            assert tx.connection
            tx.save(other)
    assert (tariff.version, other.version) == (1, 1)
    async with unit(store, uuid4()) as mine:
        with pytest.raises(UsageError, match="is global"):
            mine.save(Tariff(name="c"))


async def test_concurrent_units_on_one_record_conflict(store: Store | AsyncStore, tenant: UUID) -> None:
    """A unit that changes a record which another unit has changed raises Conflict and changes nothing."""
    runs = store.scope(tenant=tenant, actor="test").repository(Run)
    saved: Run = await settle(runs.save(Run(name="x")))
    mine, theirs = [await settle(runs.get(saved.ref_id)) for _ in range(2)]
    async with unit(store, tenant) as tx:
        theirs.score = 1
        tx.save(theirs)
    with pytest.raises(Conflict, match="stored version is 2, but the save was based on 1"):
        await _save_all(store, tenant, [Run(name="y"), _scored(mine)])
    assert await count(store, tenant) == 1


def _scored(run: Run) -> Run:
    run.score = 2
    return run


async def _save_all(
    store: Store | AsyncStore, tenant: UUID, entities: list[Any], *, sql: bool = False
) -> None:
    async with unit(store, tenant) as tx:
        tx.save_many(entities)
        if sql:
            await settle(tx.connection)


async def test_a_unit_uses_a_connection_only_while_its_transaction_is_open(
    store: Store | AsyncStore, tenant: UUID
) -> None:
    """Before `connection` is used the pool's only connection is free; afterwards it is returned clean."""
    async with unit(store, tenant) as tx:
        tx.save(Note(title="n", content=Blob("n")))
        assert await count(store, tenant) == 0
        await settle(tx.flush())
        assert await count(store, tenant) == 0
        own = await settle(tx.connection)
        cursor = await settle(own.execute("SELECT current_setting('storekit.tenant')"))
        assert await settle(cursor.fetchone()) == (str(tenant),)
    async with unit(store, uuid4()) as tx:
        own = await settle(tx.connection)
        cursor = await settle(own.execute("SELECT count(*) FROM notes"))
        assert await settle(cursor.fetchone()) == (0,)


async def test_tasks_cannot_share_a_unit(embedded: Store, tenant: UUID) -> None:
    """A task that uses a unit while another task uses it gets UsageError."""
    async with AsyncStore.open(embedded.settings) as store:
        async with unit(store, tenant) as tx:
            tx.save(Note(title="n", content=Blob("n")))
            first = asyncio.ensure_future(tx.flush())
            await asyncio.sleep(0)
            with pytest.raises(UsageError, match="in use by another task"):
                await tx.flush()
            await first
        assert await count(store, tenant, Note) == 1


@pytest.mark.parametrize("call", ["flush", "connection", "refused"])
async def test_a_unit_left_during_a_call_leaves_nothing_behind(
    embedded: Store, tenant: UUID, call: str
) -> None:
    """A task that leaves while another call runs ends the unit; that call undoes all of it and raises."""
    settings = embedded.settings.model_copy(update={"pool_size": 1, "pool_min": 1})
    run, note = Run(name="x"), Note(title="n", content=Blob("n"))
    running: list[asyncio.Future[Any]] = []

    async def work(store: AsyncStore) -> None:
        async with unit(store, tenant) as tx:
            tx.save_many([run, note])
            if call == "refused":
                tx.update(Run, "0" * 26, {"name": "y"})
            running.append(asyncio.ensure_future(tx.connection if call == "connection" else tx.flush()))
            await asyncio.sleep(0)
            raise ZeroDivisionError

    async with AsyncStore.open(settings) as store:
        with pytest.raises(ZeroDivisionError):
            await work(store)
        with pytest.raises(NotFound if call == "refused" else UsageError, match="not found|has ended"):
            await running[0]
        assert (run.version or None, note.version or None) == (None, None)
        assert await count(store, tenant) == await count(store, tenant, Note) == 0
        runs = store.scope(tenant=tenant, actor="agent:writer").repository(Run)
        assert (await runs.save(run)).version == 1


async def test_a_cancelled_unit_is_rolled_back(embedded: Store, tenant: UUID) -> None:
    """A task that is cancelled in an open transaction rolls back; its objects can be saved."""
    settings = embedded.settings.model_copy(update={"pool_size": 1, "pool_min": 1})
    run, note = Run(name="x"), Note(title="n", content=Blob("n"))
    inside = asyncio.Event()

    async def work(store: AsyncStore) -> None:
        async with unit(store, tenant) as tx:
            tx.save_many([run, note])
            await settle(tx.connection)
            inside.set()
            await asyncio.Event().wait()

    async with AsyncStore.open(settings) as store:
        task = asyncio.create_task(work(store))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (run.version or None, await count(store, tenant)) == (None, 0)
        await _save_all(store, tenant, [run, note])
        assert (await count(store, tenant), await count(store, tenant, Note)) == (1, 1)


@pytest.fixture
def rival(embedded: Store) -> Iterator[Rival]:
    with ExitStack() as stack:
        yield Rival(embedded.settings, stack)


class Rival:
    """Another user whose SQL locks the second of two records, and then the first."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self._own = stack.enter_context(psycopg.connect(url(settings)))
        assert settings.postgres_admin_url is not None
        admin = settings.postgres_admin_url.get_secret_value()
        self._watch = stack.enter_context(psycopg.connect(admin, autocommit=True))

    def lock(self, tenant: UUID, lead: Lead) -> None:
        self._own.execute("SELECT set_config('storekit.tenant', %s, true)", (str(tenant),))
        self._update(lead)

    def cross(self, lead: Lead) -> Thread:
        """Once the lock is waited for, request the other one: the first to wait ends the deadlock."""

        def work() -> None:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND %s = ANY (pg_blocking_pids(pid))"
            me = self._own.info.backend_pid
            while self._watch.execute(waits, (me,)).fetchone() == (0,):
                pass
            self._update(lead)
            self._own.commit()

        thread = Thread(target=work)
        thread.start()
        return thread

    def _update(self, lead: Lead) -> None:
        """Wait long in total but under a second each time, so that the other side detects the deadlock."""
        while True:
            with suppress(psycopg.errors.LockNotAvailable), self._own.transaction():
                self._own.execute("SET LOCAL lock_timeout = '900ms'")
                self._own.execute("UPDATE leads SET team = 'rival' WHERE ref_id = %s", (lead.ref_id,))
                return


@pytest.mark.parametrize("sql", [False, True])
async def test_a_deadlock_without_user_sql_is_repeated(
    embedded: Store, tenant: UUID, rival: Rival, sql: bool
) -> None:
    """Without user SQL the unit is repeated after a deadlock; with it the unit raises a retryable error."""
    leads = embedded.scope(tenant=tenant, actor="test").repository(Lead)
    saved = leads.save_many([Lead(number="1"), Lead(number="2")])
    first, second = sorted(saved, key=lambda lead: lead.ref_id)
    rival.lock(tenant, second)
    crossing = rival.cross(first)

    def work() -> None:
        with embedded.scope(tenant=tenant, actor="agent").transaction() as tx:
            if sql:
                tx.connection.execute("SELECT 1")
            tx.update(Lead, first.ref_id, {"score": 1})
            tx.update(Lead, second.ref_id, {"score": 1})

    if sql:
        with pytest.raises(Unavailable, match="deadlock") as raised:
            await asyncio.to_thread(work)
        assert raised.value.retryable
        crossing.join()
    await asyncio.to_thread(work)
    crossing.join()
    assert [(lead.score, lead.team) for lead in leads.find()] == [(1, "rival")] * 2
