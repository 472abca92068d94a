"""What a unit of work reads and writes in its own transaction, with a single connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit import AsyncStore, ConstraintViolation, Settings, Store, UsageError, ValidationError
from storekit.bridge import settle
from storekit.testing.faults import Point, at
from tests.support.entities import Call, Hit, Lead, Report, Run

_BY_HAND = "INSERT INTO hits (external_id) VALUES (%s)"


class Units:
    """A sync or async store with one connection, and its units of work."""

    def __init__(self, store: Store | AsyncStore) -> None:
        self.store, self.tenant = store, uuid4()

    async def work(self, *steps: Any, actor: str = "agent:a", within: Any = None) -> None:
        """Run functions with the unit, and await their results if needed."""
        tx: Any = self.store.scope(tenant=self.tenant, actor=actor).transaction(within=within)
        if isinstance(self.store, AsyncStore):
            async with tx:
                await self._each(tx, steps)
        else:
            with tx:
                await self._each(tx, steps)

    async def _each(self, tx: Any, steps: tuple[Any, ...]) -> None:
        for step in steps:
            await settle(step(tx))

    def repository(self, entity: type[Any]) -> Any:
        return self.store.scope(tenant=self.tenant, actor="test").repository(entity)


def sql(query: str, *values: Any) -> Any:
    """Return a step that runs SQL on the unit's connection."""

    async def run(tx: Any) -> None:
        connection = await settle(tx.connection)
        await settle(connection.execute(query, values or None))

    return run


@pytest.fixture(params=["sync", "async"])
async def units(embedded: Store, request: pytest.FixtureRequest) -> AsyncIterator[Units]:
    settings = embedded.settings.model_copy(
        update={"pool_size": 1, "pool_min": 1, "pool_wait": embedded.settings.timeout}
    )
    store = Store.open(settings) if request.param == "sync" else AsyncStore.open(settings)
    yield Units(store)
    await settle(store.close())


async def test_natural_keys_are_looked_up_in_the_unit(units: Units) -> None:
    """upsert and insert_ignore find rows that the unit, or the user's SQL in it, has inserted."""
    same, new = Hit(external_id="by hand"), Hit(external_id="new")
    lead = Lead(number="1", score=1)
    await units.work(
        lambda tx: tx.save(lead),
        sql(_BY_HAND, "by hand"),
        lambda tx: tx.insert_ignore([same, new]),
        lambda tx: tx.flush(),
        lambda tx: tx.insert_ignore([Hit(external_id="new")]),
        lambda tx: tx.upsert([Lead(number="1", score=2)]),
    )
    assert (same.version or None, new.version) == (None, 1)
    assert await settle(units.repository(Hit).count()) == 2
    (found,) = await settle_all(units.repository(Lead).find())
    assert (found.ref_id, found.score, found.version) == (lead.ref_id, 2, 2)


async def test_natural_keys_are_looked_up_in_a_joined_transaction(units: Units) -> None:
    """A unit finds rows that the owner of the joined transaction has inserted."""
    same, new = Hit(external_id="by hand"), Hit(external_id="new")

    async def join(tx: Any) -> None:
        own = await settle(tx.connection)
        await units.work(lambda inner: inner.insert_ignore([same, new]), within=own)

    await units.work(sql(_BY_HAND, "by hand"), join)
    assert (same.version or None, new.version) == (None, 1)
    assert await settle(units.repository(Hit).count()) == 2


async def test_a_swallowed_error_is_reported_at_the_next_flush(units: Units) -> None:
    """After a failed statement nothing can be written; the error says what to do."""

    async def swallow(tx: Any) -> None:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await sql("SELECT 1 / 0")(tx)

    for late in (lambda tx: tx.save(Run(name="x")), lambda tx: tx.insert_ignore([Hit(external_id="1")])):
        with pytest.raises(UsageError, match="suppressed"):
            await units.work(swallow, late, lambda tx: tx.flush())


async def test_inside_the_transaction_a_unit_refuses_an_object_at_its_own_line(units: Units) -> None:
    """An object that cannot be stored, or has new parts, is refused by `save`, and the unit goes on."""
    call = Call(run_id=uuid4(), name="search")
    call.tags.append(1)  # type: ignore[arg-type]  # edited in place, so that the class does not see it

    def refused(tx: Any) -> None:
        with pytest.raises(ValidationError, match="tags: it must be str"):
            tx.save(call)
        with pytest.raises(UsageError, match="save it before the first use of tx.connection"):
            tx.save(Report(title="r", body={"a": 1}))

    await units.work(sql("SELECT 1"), refused, lambda tx: tx.save(Run(name="x")))
    assert await settle(units.repository(Run).count()) == 1


async def settle_all(page: Any) -> list[Any]:
    return list(await settle(page))


async def test_a_duplicate_key_is_named_in_a_unit(units: Units) -> None:
    """The refused record of a batch is found with the unit's own connection."""
    await settle(units.repository(Lead).save(Lead(number="2")))
    with pytest.raises(ConstraintViolation) as refused:
        await units.work(sql("SELECT 1"), lambda tx: tx.save_many([Lead(number=str(i)) for i in range(4)]))
    assert (refused.value.index, refused.value.fields) == (2, ("number",))
    assert await settle(units.repository(Lead).count()) == 1


async def test_reads_of_a_unit_do_not_change_settings(units: Units) -> None:
    """Settings of a look-up do not apply to the SQL that follows."""

    async def plain(tx: Any) -> None:
        cursor = await settle((await settle(tx.connection)).execute("SHOW enable_seqscan"))
        assert await settle(cursor.fetchone()) == ("on",)

    await units.work(
        sql("SELECT 1"), lambda tx: tx.insert_ignore([Hit(external_id="1")]), lambda tx: tx.flush(), plain
    )


async def test_a_savepoint_that_undoes_a_flush_fails_the_unit(units: Units) -> None:
    """If the user rolls back a flushed record, the unit fails and its objects are not saved."""
    run = Run(name="x")
    with pytest.raises(UsageError, match="ROLLBACK TO SAVEPOINT undid"):
        await units.work(
            lambda tx: tx.save(Run(name="first")),
            sql("SAVEPOINT mine"),
            lambda tx: tx.save(run),
            lambda tx: tx.flush(),
            sql("ROLLBACK TO SAVEPOINT mine"),
        )
    assert (run.version or None, await settle(units.repository(Run).count())) == (None, 0)
    await units.work(
        lambda tx: tx.save(run), sql("SAVEPOINT mine"), sql(_BY_HAND, "1"), sql("ROLLBACK TO SAVEPOINT mine")
    )
    assert await settle(units.repository(Run).count()) == 1
    assert await settle(units.repository(Hit).count()) == 0


_FAILING_COMMIT = """
    CREATE TEMP TABLE odd (n int) ON COMMIT DROP;
    CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {} RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER odd AFTER INSERT ON odd DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION pg_temp.fail();
    INSERT INTO odd VALUES (0)"""


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PERFORM 1 / NEW.n;", "division by zero"),
        ("PERFORM 'x'::int;", "invalid input syntax"),
        ("RAISE 'odd' USING ERRCODE = '22000';", "odd"),
    ],
)
async def test_an_error_of_a_deferred_trigger_is_its_own(units: Units, statement: str, message: str) -> None:
    """If a deferred trigger fails in COMMIT, the unit raises its error, and does not blame a savepoint."""
    run = Run(name="x")
    with pytest.raises(ValidationError, match=message):
        await units.work(
            lambda tx: tx.save(run), lambda tx: tx.flush(), sql(_FAILING_COMMIT.format(statement))
        )
    assert not run.version
    assert await settle(units.repository(Run).count()) == 0


async def test_a_flush_in_a_pipeline_of_the_user_is_refused(units: Units) -> None:
    """A flush inside `connection.pipeline()` is refused before anything is sent."""

    async def pipelined(tx: Any) -> None:
        connection = await settle(tx.connection)
        tx.save(Run(name="never"))
        if isinstance(units.store, AsyncStore):
            async with connection.pipeline():
                await tx.flush()
        else:
            with connection.pipeline():
                tx.flush()

    with pytest.raises(UsageError, match="leave connection"):
        await units.work(pipelined)
    await units.work(lambda tx: tx.save(Run(name="x")), sql("SELECT 1"))
    assert await settle(units.repository(Run).count()) == 1


async def test_the_connection_of_an_ended_unit_is_refused(units: Units) -> None:
    """SQL on a unit's connection is refused after the unit, because the connection serves other calls."""
    kept: list[Any] = []

    async def keep(tx: Any) -> None:
        kept.append(await settle(tx.connection))

    await units.work(lambda tx: tx.save(Run(name="x")), keep)
    with pytest.raises(UsageError, match="now serves other calls"):
        await settle(kept[0].execute("SELECT 1"))
    assert await settle(units.repository(Run).count()) == 1


async def test_a_joined_unit_restores_the_actor(units: Units) -> None:
    """Events after a joined unit have the actor of the transaction's owner again."""
    run = Run(name="outer")

    async def inner(tx: Any) -> None:
        own = await settle(tx.connection)
        await units.work(lambda tx: tx.save(Run(name="inner")), actor="agent:inner", within=own)

    await units.work(
        lambda tx: tx.save(run),
        inner,
        sql("UPDATE runs SET score = 1 WHERE name = 'outer'"),
        actor="agent:outer",
    )
    last = (await settle(units.repository(Run).history(run.ref_id)))[-1]
    assert (last.type, last.by) == ("runs.updated", "agent:outer")


async def test_an_error_after_a_joined_unit_does_not_undo_it(units: Units) -> None:
    """An error after the end of a joined unit neither undoes it nor aborts the transaction."""

    async def inner(tx: Any) -> None:
        own = await settle(tx.connection)
        with at(Point("after", "postgres.commit", 1), _fail), pytest.raises(ZeroDivisionError):
            await units.work(lambda tx: tx.save(Run(name="inner")), within=own)
        await settle(own.execute("SELECT 1"))

    await units.work(lambda tx: tx.save(Run(name="outer")), inner)
    assert await settle(units.repository(Run).count()) == 2


def _fail() -> None:
    raise ZeroDivisionError


@contextmanager
def _rival(settings: Settings, tenant: UUID) -> Iterator[psycopg.Connection[Any]]:
    """Open another transaction, and commit it at the end."""
    assert settings.postgres_url
    with psycopg.connect(settings.postgres_url.get_secret_value()) as rival:
        rival.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
        rival.execute("SELECT set_config('storekit.actor', 'user:rival', true)")
        yield rival


@pytest.mark.parametrize("how", ["not begun", "begun", "joined"])
async def test_a_unit_that_loses_a_race_for_a_natural_key(units: Units, embedded: Store, how: str) -> None:
    """If another transaction inserts the same event first, the unit treats it as existing."""
    lost, other = Hit(external_id="raced"), Hit(external_id="other")
    insert = lambda tx: tx.insert_ignore([lost, other])  # noqa: E731 a step of a unit

    async def join(tx: Any) -> None:
        await units.work(insert, within=await settle(tx.connection))

    with _rival(embedded.settings, units.tenant) as rival:
        rival.execute(_BY_HAND, ["raced"])
        ending = Thread(target=_commit_when_waited_for, args=(rival, embedded.settings))
        ending.start()
        await units.work(
            *{"not begun": [insert], "begun": [sql("SELECT 1"), insert], "joined": [join]}[how],
            sql("SELECT 1"),
        )
        ending.join()
    assert (lost.version or None, other.version) == (None, 1)
    assert await settle(units.repository(Hit).count()) == 2


def _commit_when_waited_for(rival: psycopg.Connection[Any], settings: Settings) -> None:
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND %s = ANY (pg_blocking_pids(pid))"
    assert settings.postgres_admin_url
    with psycopg.connect(settings.postgres_admin_url.get_secret_value(), autocommit=True) as watch:
        while watch.execute(waits, [rival.info.backend_pid]).fetchone() == (0,):
            pass
    rival.commit()
