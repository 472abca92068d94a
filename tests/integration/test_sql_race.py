"""Concurrent writers: one commit per key, one outcome per write in doubt, no deadlock between batches."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database
from tests.support.write_api import Api, blob_part, change_op, insert_op, uploaded

T = TypeVar("T")
KEYS = 100
THREADS = 12


def together(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Run functions in threads at the same time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(threads)))


def save_once(api: Api, key: str, chance: random.Random) -> str:
    """Save with a key until it succeeds, with simulated crashes; return the entity."""
    while True:
        write, ref_id = new_id(), new_ref_id()
        part = blob_part(ref_id)
        dies = chance.random() < 0.3
        # a writer that will crash has a lease that expires at once; the leases of others do not expire
        reply = api.stage(write, [part], key=key, lease="1 millisecond" if dies else "60 seconds")
        if reply["outcome"] == "staged" and not dies:
            row = {"ref_id": ref_id, "name": key, "transcript_ref": part["part_id"]}
            reply = api.commit(write, [insert_op("tasks", [row], ["transcript"])], uploaded(part), key=key)
        match reply:
            case {"outcome": "committed", "rows": rows} | {"outcome": "replay", "result": {"rows": rows}}:
                return str(rows[0][1])
            case {"outcome": "staged" | "held" | "lost"}:
                continue
        raise AssertionError(reply)


def test_a_key_creates_one_record_despite_crashes(database: Database) -> None:
    """12 threads that save 100 keys, with crashes: one commit, one row and one result per key."""
    tenant = uuid4()

    def work(number: int) -> dict[str, str]:
        chance, keys = random.Random(number), [f"k{n}" for n in range(KEYS)]
        chance.shuffle(keys)
        with database.connect() as connection:
            return {key: save_once(Api(connection, tenant), key, chance) for key in keys}

    first, *others = together(work)
    assert all(results == first for results in others)
    assert len(set(first.values())) == KEYS
    committed = database.ask(
        "SELECT count(*), count(DISTINCT idempotency_key) FROM storekit.write"
        " WHERE tenant_id = %s AND state = 'committed'",
        tenant,
    )
    assert committed == [(KEYS, KEYS)]
    assert database.ask("SELECT count(*) FROM tasks WHERE tenant_id = %s", tenant) == [(KEYS,)]
    taken = "SELECT count(*) FROM storekit.write WHERE tenant_id = %s AND state = 'aborted'"
    assert database.ask(taken, tenant) > [(10,)]
    assert database.ask(
        "SELECT 1 FROM storekit.part p JOIN storekit.write w USING (tenant_id, write_id)"
        " WHERE w.tenant_id = %s AND w.state::text <> p.state::text", tenant,
    ) == []  # fmt: skip


def test_keys_without_parts_commit_once(database: Database) -> None:
    """12 threads that commit the same 100 keys in one trip: one wins, and all get its result."""
    tenant = uuid4()

    def work(number: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        with database.connect() as connection:
            for key in range(KEYS):
                api = Api(connection, tenant)
                reply = {"outcome": "held"}
                while reply["outcome"] == "held":
                    reply = api.commit(new_id(), [insert_op("jobs", [{"title": "x"}])], key=str(key))
                seen[reply["outcome"]] += 1
        return seen

    total: Counter[str] = sum(together(work), Counter())
    assert total == {"committed": KEYS, "replay": KEYS * (THREADS - 1)}
    assert database.ask("SELECT count(*) FROM jobs WHERE tenant_id = %s", tenant) == [(KEYS,)]


@pytest.mark.parametrize("ends", ["commit", "rollback"])
@pytest.mark.parametrize("parts", [0, 1])
def test_abandon_waits_for_a_commit_in_progress(database: Database, ends: str, parts: int) -> None:
    """abandon waits for a commit whose reply was lost, and returns its outcome."""
    tenant, write, ref_id = uuid4(), new_id(), new_ref_id()
    part = blob_part(ref_id)
    sent = [part][:parts]
    row = {"ref_id": ref_id, "name": "x"} | ({"transcript_ref": part["part_id"]} if parts else {})
    with database.connect() as doubtful, database.connect() as asking, ThreadPoolExecutor(1) as pool:
        writer = Api(doubtful, tenant)
        if sent:
            writer.stage(write, sent)
        doubtful.execute("BEGIN")
        committed = writer.commit(write, [insert_op("tasks", [row], ["transcript"][:parts])], uploaded(*sent))
        abandoned = pool.submit(Api(asking, tenant).abandon, write)
        while not database.ask(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
            asking.info.backend_pid,
        ):
            assert not abandoned.done()
        doubtful.execute(ends.encode())
    rows = {"rows": committed["rows"]}
    kept = {"outcome": "committed", "write_id": str(write), "result": rows}
    assert abandoned.result() == (kept if ends == "commit" else {"outcome": "aborted"})
    assert len(database.ask("SELECT 1 FROM tasks WHERE ref_id = %s", ref_id)) == (ends == "commit")


def test_commit_or_abandon_wins_never_both(database: Database) -> None:
    """200 writes are committed and abandoned at the same time: both sides agree on each."""
    tenant, writes = uuid4(), [new_id() for _ in range(200)]

    def work(number: int) -> list[str]:
        with database.connect() as connection:
            api = Api(connection, tenant)
            if number:
                return [api.abandon(write)["outcome"] for write in writes]
            op = insert_op("jobs", [{"title": "x"}])
            return [api.commit(w, [op | insert_op("jobs", [{"title": "x"}])])["outcome"] for w in writes]

    commits, abandons = together(work, 2)
    for commit, abandon in zip(commits, abandons, strict=True):
        assert (commit, abandon) in {("committed", "committed"), ("lost", "aborted")}


def test_a_locked_key_reports_held(database: Database) -> None:
    """A key in another open transaction is `held` after a second; the caller polls."""
    tenant = uuid4()
    op = insert_op("jobs", [{"title": "x"}])
    with database.connect() as first, database.connect() as second, first.transaction():
        Api(first, tenant).commit(new_id(), [op], key="open")
        assert Api(second, tenant).commit(new_id(), [op], key="open") == {"outcome": "held", "lease_left": 0}


def test_a_key_whose_holder_is_committing_reports_held(database: Database) -> None:
    """If the lease has expired but its writer is committing, the key is `held` at once, without a wait."""
    tenant, write = uuid4(), new_id()
    with database.connect() as first, database.connect() as second:
        Api(first, tenant).stage(write, key="late", lease="1 millisecond")
        with first.transaction():
            Api(first, tenant).commit(write, [insert_op("jobs", [{"title": "x"}])], key="late")
            started = perf_counter()
            assert Api(second, tenant).stage(new_id(), key="late") == {"outcome": "held", "lease_left": 0}
            assert perf_counter() - started < 0.9  # the lock time-out is 1 s
        assert Api(second, tenant).stage(new_id(), key="late")["outcome"] == "replay"


def test_overlapping_batches_do_not_deadlock(database: Database) -> None:
    """Batches over two tables lock in one order: all commit, and versions count every change."""
    tenant = uuid4()
    with database.connect() as connection:
        api = Api(connection, tenant)
        runs = [api.insert() for _ in range(20)]
        calls = [api.insert("tasks", name="x") for _ in range(20)]

    def work(number: int) -> int:
        chance = random.Random(number)
        with database.connect() as connection:
            for step in range(40):
                new = f"{number} {step}"
                ops = [
                    change_op(
                        "update",
                        "jobs",
                        *({"ref_id": r, "title": new} for r in chance.sample(runs, 8)),
                    ),
                    change_op(
                        "update", "tasks", *({"ref_id": r, "name": new} for r in chance.sample(calls, 8))
                    ),
                ]
                chance.shuffle(ops)
                assert Api(connection, tenant).commit(new_id(), ops)["outcome"] == "committed"
        return 40 * 16

    changes = sum(together(work, 8))
    versions = "SELECT sum(version - 1) FROM (SELECT version FROM {} UNION ALL SELECT version FROM {}) v"
    query = versions.format(*(f"{t} WHERE tenant_id = '{tenant}'" for t in ("jobs", "tasks")))
    assert database.ask(query) == [(changes,)]
    recorded = database.ask(
        "SELECT count(*) FROM storekit.event WHERE tenant_id = %s AND type LIKE '%%.updated'", tenant
    )
    assert recorded == [(changes,)]


def test_a_row_that_is_locked_too_long_is_a_retryable_error(database: Database) -> None:
    """The commit fails with 55P03 and is rolled back."""
    commit = "ALTER FUNCTION storekit.commit_v1 SET lock_timeout"
    assert database.ask(
        "SELECT 1 FROM pg_proc WHERE proname = 'commit_v1' AND 'lock_timeout=5s' = ANY (proconfig)"
    )
    database.ask(f"{commit} = '50ms'")
    tenant: UUID = uuid4()
    with database.connect() as first, database.connect() as second:
        ref_id = Api(first, tenant).insert()
        op: dict[str, Any] = change_op("update", "jobs", {"ref_id": ref_id, "title": "y"})
        with first.transaction():
            Api(first, tenant).commit(new_id(), [op])
            with pytest.raises(psycopg.errors.LockNotAvailable):
                Api(second, tenant).commit(write := new_id(), [op])
        assert Api(second, tenant).abandon(write) == {"outcome": "aborted"}
    database.ask(f"{commit} = '5s'")
