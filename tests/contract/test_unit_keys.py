"""Units of work with an idempotency key: committed once, and a repetition finds the stored records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from storekit import (
    Blob,
    IdempotencyConflict,
    InvalidTransition,
    NotFound,
    OutcomeUnknown,
    UsageError,
    ValidationError,
    trace,
)
from storekit.bridge import settle
from tests.support.entities import Call, Hit, Lead, Order, Payload, Run
from tests.support.harness import Harness, steps, trips


def _planned(tx: Any, name: str = "x") -> tuple[Run, Call]:
    """Plan a run with its call, as new objects."""
    run = tx.save(Run(name=name))
    return run, tx.save(Call(run_id=run.id, name="a", payload=Payload(q="q"), transcript=Blob("# a")))


async def test_a_repeated_unit_finds_its_records(harness: Harness) -> None:
    """The objects of the second run become the records of the first, with their documents and blobs."""
    async with harness.unit(idempotency_key="k") as tx:
        run, call = _planned(tx)
    assert not tx.replayed
    with steps() as seen:
        async with harness.unit(idempotency_key="k") as again:
            run2, call2 = _planned(again)
    assert again.replayed
    assert trips(seen) == {"postgres.stage": 1, "postgres.select": 1, "mongo.fetch": 1}
    assert (run2.ref_id, run2.id, call2.ref_id, call2.run_id) == (run.ref_id, run.id, call.ref_id, run.id)
    assert (call2.version, call2.payload) == (1, Payload(q="q"))
    assert await harness.repository(Call).read(call2.ref_id, "transcript") == b"# a"
    assert await harness.repository(Run).count() == await harness.repository(Call).count() == 1
    run2.score = 5
    await harness.repository(Run).save(run2)
    assert (await harness.repository(Run).get(run.ref_id)).score == 5


async def test_a_key_costs_a_unit_no_trip(harness: Harness) -> None:
    """A unit of columns is one trip with a key too, and a repetition one more to read the records."""
    for expected in ({"postgres.commit": 1}, {"postgres.commit": 1, "postgres.select": 1}):
        with steps() as seen:
            async with harness.unit(idempotency_key="k") as tx:
                tx.save(Run(name="x"))
        assert trips(seen) == expected


async def test_a_repeated_unit_finds_the_current_values(harness: Harness) -> None:
    """The objects have the values and versions of now; a record that was deleted since is not found."""
    async with harness.unit(idempotency_key="k") as tx:
        run, call = _planned(tx)
    await harness.repository(Run).update(run.ref_id, {"score": 9})
    async with harness.unit(idempotency_key="k") as tx:
        again, _ = _planned(tx)
    assert (again.score, again.version) == (9, 2)
    await harness.repository(Call).delete(call.ref_id)
    with pytest.raises(NotFound) as error:
        async with harness.unit(idempotency_key="k") as tx:
            _planned(tx)
    assert error.value.index == 1


async def test_every_operation_of_a_repeated_unit_is_made_once(harness: Harness) -> None:
    """Updates, deletes, transitions, upserts, ignored records and a cursor are part of the request."""
    runs, orders, leads = harness.repository(Run), harness.repository(Order), harness.repository(Lead)
    kept, gone = await runs.save_many([Run(name="kept"), Run(name="gone")])
    placed = await orders.save(Order(number="1"))
    await leads.save(Lead(number="old", score=1))
    hits: list[Hit] = []
    for replayed in (False, True):
        cursor = await harness.cursor("feed")
        async with harness.unit(idempotency_key="k", reason="nightly") as tx:
            tx.update(Run, kept.ref_id, {"score": 3})
            tx.delete(Run, gone.ref_id)
            tx.transition(Order, placed.ref_id, "confirmed")
            tx.upsert([Lead(number="old", score=2), new := Lead(number="new")])
            tx.insert_ignore([hit := Hit(external_id="e"), twice := Hit(external_id="e")])
            tx.save(child := Lead(number="child", lead_id=new.id))
            tx.advance(cursor, "7")
        hits.append(hit)
        assert (tx.replayed, cursor.position) == (replayed, "7")
        assert (new.version, hit.version, twice.version or None, child.version, child.lead_id) == (
            1,
            1,
            None,
            1,
            new.id,
        )
    assert hits[0].ref_id == hits[1].ref_id
    assert (await runs.get(kept.ref_id)).version == (await orders.get(placed.ref_id)).version == 2
    assert [event.reason for event in await orders.history(placed.ref_id)] == [None, "nightly"]
    assert [
        event.version for event in await leads.history((await leads.find({"number": "old"}))[0].ref_id)
    ] == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        lambda tx, run: tx.update(Run, run.ref_id, {"score": 2}),
        lambda tx, run: tx.update(Run, run.ref_id, {"name": "x"}),
        lambda tx, run: tx.delete(Run, run.ref_id),
        lambda tx, run: tx.save(Run(name="a")),
        lambda tx, run: (tx.update(Run, run.ref_id, {"score": 1}), tx.save(Run(name="a"))),
    ],
)
async def test_a_key_is_bound_to_the_operations(harness: Harness, other: Callable[[Any, Run], Any]) -> None:
    """A used key with other operations raises IdempotencyConflict and writes nothing."""
    run = await harness.run()
    async with harness.unit(idempotency_key="k") as tx:
        tx.update(Run, run.ref_id, {"score": 1})
    with pytest.raises(IdempotencyConflict):
        async with harness.unit(idempotency_key="k") as tx:
            other(tx, run)
    assert (await harness.repository(Run).get(run.ref_id)).version == 2
    assert await harness.repository(Run).count() == 1


async def test_emptying_a_part_is_part_of_the_request(harness: Harness) -> None:
    """An update that removes a document is another request than one that does not name it."""
    call = await harness.call(payload=Payload(q="x"))
    async with harness.unit(idempotency_key="k") as tx:
        tx.update(Call, call.ref_id, {"name": "n"})
    with pytest.raises(IdempotencyConflict):
        async with harness.unit(idempotency_key="k") as tx:
            tx.update(Call, call.ref_id, {"name": "n", "payload": None})


async def test_a_repeated_unit_with_a_check_finds_its_records(harness: Harness) -> None:
    """An unchanged record whose version is compared is not mistaken for a record that was saved."""
    stored = await harness.repository(Run).save(Run(name="stored"))
    made = []
    for version in (1, 2):
        async with harness.unit(idempotency_key="k") as tx:
            tx.update(Run, stored.ref_id, {}, expected_version=1)
            made.append(tx.save(Run(name="new")))
        assert tx.replayed == (version == 2)
        await harness.repository(Run).update(stored.ref_id, {"score": version})
    assert (made[1].ref_id, made[1].name, made[1].version) == (made[0].ref_id, "new", 1)
    assert await harness.repository(Run).count() == 2


async def test_a_failed_unit_frees_its_key(harness: Harness) -> None:
    """After a refusal the key can be used at once, for another request too."""
    absent = Run(name="absent").ref_id
    with pytest.raises(NotFound):
        await harness.work(_planned, lambda tx: tx.update(Run, absent, {"score": 1}), idempotency_key="k")
    async with harness.unit(idempotency_key="k") as tx:
        run, _ = _planned(tx, "corrected")
    assert (tx.replayed, run.version) == (False, 1)


async def test_a_unit_with_a_key_and_flushes(harness: Harness) -> None:
    """The first flush holds the key: a repetition ends its block there, with the objects planned so far."""
    found, passed = [], []
    for _ in range(2):
        async with harness.unit(idempotency_key="k") as tx:
            found.append(_planned(tx)[1])
            await settle(tx.flush())
            passed.append(tx.save(Run(name="late")))
    assert found[0].ref_id == found[1].ref_id
    assert (len(passed), passed[0].version, tx.replayed) == (1, 1, True)
    assert await harness.repository(Run).count() == 2


async def test_the_same_objects_after_an_unknown_outcome(harness: Harness) -> None:
    """After a commit whose reply was lost, the unit run again with the same objects makes one of each."""
    kept = await harness.run()
    run = Run(name="x")

    async def work() -> Any:
        async with harness.unit(idempotency_key="k") as tx:
            tx.save(run)
            tx.update(Run, kept.ref_id, {"score": 4})
        return tx

    def lose(name: str, phase: str) -> None:
        if (name, phase) == ("postgres.commit", "finished"):
            raise OutcomeUnknown(run.id)

    with trace.listen(lose), pytest.raises(OutcomeUnknown):
        await work()
    assert (await work()).replayed
    assert (run.version, (await harness.repository(Run).get(kept.ref_id)).version) == (1, 2)
    assert await harness.repository(Run).count() == 2


async def test_a_repeated_transition_in_a_unit_changes_nothing(harness: Harness) -> None:
    """Without a key too, a transition in a unit that was the last change of the record is not made twice."""
    orders = harness.repository(Order)
    placed = await orders.save(Order(number="1"))
    for expected in (None, 1, 2):
        async with harness.unit() as tx:
            tx.transition(Order, placed.ref_id, "confirmed", reason="paid", expected_version=expected)
    assert [event.reason for event in await orders.history(placed.ref_id)] == [None, "paid"]
    await orders.update(placed.ref_id, {"number": "2"})
    with pytest.raises(InvalidTransition):
        async with harness.unit() as tx:
            tx.transition(Order, placed.ref_id, "confirmed")


@pytest.mark.parametrize("more", [{"idempotency_key": ""}, {"idempotency_key": "k" * 256}, {"reason": 7}])
@pytest.mark.refusals
async def test_invalid_arguments_of_a_unit_are_refused(harness: Harness, more: dict[str, Any]) -> None:
    """A key has 1 to 255 characters, and a reason is a text; nothing is sent."""
    with pytest.raises(ValidationError):
        harness.unit(**more)


@pytest.mark.refusals
async def test_a_unit_that_joins_a_transaction_takes_no_key(harness: Harness) -> None:
    """A key and `within` together are refused, with the remedy."""
    with pytest.raises(UsageError, match="begins its own transaction"):
        harness.unit(idempotency_key="k", within=object())


@pytest.mark.sql
async def test_the_sql_of_a_repeated_unit_does_not_run_twice(harness: Harness) -> None:
    """The key is claimed before the user's SQL, so a repetition ends its block at `connection`."""
    run = await harness.run()
    ran = []
    for _ in range(2):
        with steps() as seen:
            async with harness.unit(idempotency_key="k") as tx:
                saved = tx.save(Run(name="x"))
                connection = await settle(tx.connection)
                await settle(connection.execute("UPDATE runs SET score = score + 1 WHERE name = 'nightly'"))
                ran.append(saved)
        assert saved.version == 1
    assert (len(ran), tx.replayed) == (1, True)
    assert trips(seen) == {"postgres.begin": 1, "postgres.rollback": 1, "postgres.select": 1}
    assert ran[0].ref_id == saved.ref_id
    assert (await harness.repository(Run).get(run.ref_id)).score == 1


@pytest.mark.sql
async def test_a_unit_of_sql_alone_claims_its_key(harness: Harness) -> None:
    """A unit without records runs its SQL once; after a failure of the SQL it can run again."""
    run = await harness.run()

    async def work(statement: str) -> bool:
        async with harness.unit(idempotency_key="k") as tx:
            connection = await settle(tx.connection)
            await settle(connection.execute(statement))
        return bool(tx.replayed)

    with pytest.raises(psycopg.errors.DivisionByZero):
        await work("SELECT 1 / 0")
    assert [await work("UPDATE runs SET score = score + 1") for _ in range(2)] == [False, True]
    assert (await harness.repository(Run).get(run.ref_id)).score == 1
