"""SQL of the user in a unit of work, on each leg with a Postgres."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from storekit import Blob, UsageError
from storekit.bridge import settle
from tests.support.adapters import awaitable
from tests.support.entities import Lead, Note, Run, Verdict
from tests.support.harness import Harness, fail, steps, trips

pytestmark = pytest.mark.sql


async def rows(tx: Any, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of SQL that runs on a unit's connection, sync or async."""
    connection = await settle(tx.connection)
    cursor = await settle(connection.execute(query, values or None))
    return list(await settle(cursor.fetchall())) if cursor.description else []


async def test_saves_and_sql_of_the_user_are_one_commit(harness: Harness) -> None:
    """The user's SQL sees earlier saves of the unit, and both become visible in one commit."""
    run, note, late = Run(name="a"), Note(title="n", content=Blob("n")), Run(name="late")
    with steps() as seen:
        async with harness.unit() as tx:
            tx.save_many([run, note])
            await rows(tx, "INSERT INTO runs (name) VALUES (%s)", "by hand")
            assert run.version == 1
            assert await rows(tx, "SELECT name FROM runs ORDER BY name") == [("a",), ("by hand",)]
            run.score = 7
            tx.save_many([run, late])
    assert trips(seen) == {
        "postgres.stage": 1, "s3.put": 1, "postgres.begin": 1, "postgres.flush": 1, "postgres.commit": 1,
    }  # fmt: skip
    found = {
        each.name: (each.version, each.score, each.created_by)
        for each in await harness.repository(Run).find()
    }
    who = "user:tester"
    assert found == {"a": (2, 7, who), "by hand": (1, 0, who), "late": (1, 0, who)}
    assert (run.version, late.version) == (2, 1)
    assert await harness.repository(Note).read(note.ref_id, "content") == b"n"


async def test_sql_of_the_user_sees_only_its_tenant(harness: Harness) -> None:
    """The user's SQL runs as the tenant and actor of the scope, and its events have no write."""
    await harness.repository(Run, tenant=uuid4()).save(Run(name="theirs"))
    mine = await harness.run()
    async with harness.unit(actor="user:hand") as tx:
        tx.save(Run(name="x"))
        assert {name for (name,) in await rows(tx, "SELECT name FROM runs")} == {"nightly", "x"}
        await rows(tx, "UPDATE runs SET score = 1 WHERE name = %s", "nightly")
    last = (await harness.repository(Run).history(mine.ref_id))[-1]
    assert (last.type, last.by, last.after) == ("runs.updated", "user:hand", {"score": 1})


async def test_sql_of_the_user_has_the_origin_of_the_unit(harness: Harness) -> None:
    """Events of the user's SQL have on_behalf_of, context and the unit's reason."""
    mine, context = await harness.run(), {"request_id": "r-17"}
    scope = harness.store.scope(
        tenant=harness.tenant, actor="agent:a", on_behalf_of="user:jane", context=context
    )
    async with awaitable(scope.transaction(reason="unit")) as tx:
        tx.save(Run(name="x"), reason="own")
        await rows(tx, "UPDATE runs SET score = 1 WHERE name = 'nightly'")
        tx.save(Run(name="y"), reason="own")
        await tx.flush()
        await rows(tx, "UPDATE runs SET score = 2 WHERE name = 'nightly'")
    events = (await harness.repository(Run).history(mine.ref_id))[1:]
    assert {(each.on_behalf_of, str(each.context), each.reason) for each in events} == {
        ("user:jane", str(context), "unit")
    }


async def test_a_joined_unit_leaves_the_origin_of_its_owner(harness: Harness) -> None:
    """A unit that joins a transaction records its own origin, and restores that of the owner."""
    mine = await harness.run()
    outer = harness.store.scope(tenant=harness.tenant, actor="user:owner", context={"outer": True})
    inner = harness.store.scope(tenant=harness.tenant, actor="agent:a", on_behalf_of="user:jane")
    async with awaitable(outer.transaction(reason="outer")) as owner:
        connection = await settle(owner.connection)
        async with awaitable(inner.transaction(within=connection, reason="inner")) as tx:
            tx.update(Run, mine.ref_id, {"score": 1})
        await rows(owner, "UPDATE runs SET score = 2 WHERE name = 'nightly'")
    events = (await harness.repository(Run).history(mine.ref_id))[1:]
    assert [(each.by, each.on_behalf_of, each.context, each.reason) for each in events] == [
        ("agent:a", "user:jane", None, "inner"),
        ("user:owner", None, {"outer": True}, "outer"),
    ]


async def test_sql_of_the_user_needs_a_required_reason(harness: Harness) -> None:
    """With reason_required, Postgres refuses a change by hand that has no reason."""
    for query in (
        "INSERT INTO verdicts (matter) VALUES ('b')",
        "UPDATE verdicts SET stage = 'won'",
        "DELETE FROM verdicts",
    ):
        await harness.repository(Verdict).upsert([Verdict(matter="a")], reason="court")
        with pytest.raises(psycopg.Error, match="each change of verdicts needs a reason"):
            await harness.work(partial(rows, query=query))
        await harness.work(partial(rows, query=query), reason="by hand")
    names = [Verdict(matter="x"), Verdict(matter="y")]
    await harness.repository(Verdict).save_many(names, reason="court")
    names[0].matter, names[1].matter = "y", "x"
    await harness.repository(Verdict).save_many(names, reason="exchanged")
    assert [each.version for each in names] == [2, 2]


async def test_a_later_failure_rolls_back_the_sql_of_the_user(harness: Harness) -> None:
    """An error of the user's SQL or code, or of a later save, rolls everything back."""
    taken = await harness.repository(Lead).save(Lead(number="1"))
    run, lead = Run(name="x"), Lead(number="1")

    async def insert(tx: Any) -> None:
        await rows(tx, "INSERT INTO runs (name) VALUES ('by hand')")

    async def broken(tx: Any) -> None:
        await rows(tx, "SELECT 1 / 0")

    for wrong, error in (
        (fail, ZeroDivisionError),
        (broken, psycopg.errors.DivisionByZero),
        (lambda tx: tx.save(lead), Exception),
        (lambda tx: tx.delete(Lead, run.ref_id), Exception),
    ):
        with pytest.raises(error):
            await harness.work(lambda tx: tx.save(run), insert, wrong)
        assert (run.version or None, lead.version or None) == (None, None)
        assert await harness.repository(Run).count() == 0
    await harness.repository(Run).save(run)
    assert (run.version, taken.version) == (1, 1)


async def test_a_suppressed_error_does_not_commit(harness: Harness) -> None:
    """If the caller suppresses the error of a statement, the end of the block raises."""

    async def suppress_error(tx: Any) -> None:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await rows(tx, "SELECT 1 / 0")

    with pytest.raises(UsageError, match="suppressed"):
        await harness.work(lambda tx: tx.save(Run(name="x")), suppress_error)
    assert await harness.repository(Run).count() == 0


async def test_new_parts_are_refused_after_the_transaction_has_begun(harness: Harness) -> None:
    """Saving a record with new parts after the first SQL raises at the save."""
    note = Note(title="n", content=Blob("n"))

    async def late(tx: Any) -> None:
        await rows(tx, "SELECT 1")
        with pytest.raises(UsageError, match="save it before the first use of tx.connection"):
            tx.save(note)

    await harness.work(late, lambda tx: tx.save(Run(name="x")))
    assert (await harness.repository(Run).count(), note.version or None) == (1, None)


async def test_only_the_unit_ends_its_transaction(harness: Harness) -> None:
    """commit() and rollback() raise inside a unit; a COMMIT in SQL raises at the end."""

    async def end(tx: Any, what: str) -> None:
        connection = await settle(tx.connection)
        with pytest.raises(UsageError, match="is not allowed inside a unit"):
            await settle(getattr(connection, what)())

    await harness.work(
        lambda tx: tx.save(Run(name="x")), lambda tx: end(tx, "commit"), lambda tx: end(tx, "rollback")
    )
    assert await harness.repository(Run).count() == 1
    for word in ("COMMIT", "ROLLBACK"):
        with pytest.raises(UsageError, match="ended inside"):
            await harness.work(partial(rows, query=word))
    await harness.run()


async def test_session_state_does_not_outlive_the_unit(harness: Harness) -> None:
    """Settings, temporary tables, locks, statements and row factories do not reach the next unit."""
    for _ in range(2):
        async with harness.unit() as tx:
            tx.save(Run(name="x"))
            for query in (
                "SET storekit.tenant = '00000000-0000-7000-8000-000000000001'",
                "SET search_path = pg_temp",
                "CREATE TEMPORARY TABLE mine (n int)",
                "PREPARE mine AS SELECT 1",
                "SELECT pg_advisory_lock(7)",
            ):
                await rows(tx, query)
            connection = await settle(tx.connection)
            connection.row_factory = psycopg.rows.dict_row
    async with harness.unit() as tx:
        assert await rows(tx, "SELECT current_setting('search_path') <> 'pg_temp', to_regclass('mine')") == [
            (True, None)
        ]
    await harness.run()
    assert await harness.repository(Run).count() == 3


async def test_discarded_statements_and_connections_are_replaced(harness: Harness) -> None:
    """Dropping prepared statements or closing the connection does not affect the next unit."""
    for _ in range(6):
        await harness.run()

    async def close(tx: Any) -> None:
        connection = await settle(tx.connection)
        await settle(connection.close())

    await harness.work(lambda tx: tx.save(Run(name="x")), lambda tx: rows(tx, "DEALLOCATE ALL"))
    with pytest.raises(UsageError, match="ended inside"):
        await harness.work(lambda tx: tx.save(Run(name="never")), close)
    await harness.run()
    assert await harness.repository(Run).count() == 8
