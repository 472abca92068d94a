"""A process that forks with an open store: parent and child have separate connections to every server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import AsyncStore, Blob, Settings, Store
from tests.support.entities import Call, Note, Run

_CHILDREN = 3
_READS = 60


@pytest.fixture
def store(embedded: Store) -> Iterator[Store]:
    with Store.open(embedded.settings.model_copy(update={"pool_size": 1})) as store:
        yield store


def test_processes_do_not_share_connections(store: Store) -> None:
    """Parent and children with the same open store each read only their own tenant's records."""
    tenants = [uuid4() for _ in range(_CHILDREN + 1)]
    saved = [_save(store, tenant) for tenant in tenants]
    children = [
        _forked(partial(_read_in_loops, store, tenant, *ids))
        for tenant, ids in zip(tenants[1:], saved[1:], strict=True)
    ]
    _read_in_loops(store, tenants[0], *saved[0])
    assert [_ended(child) for child in children] == [0] * _CHILDREN
    _read_in_loops(store, tenants[0], *saved[0])


def test_a_child_does_not_close_its_parents_connections(store: Store) -> None:
    """A child that ends or closes the store sends nothing on its parent's connections."""
    tenant = uuid4()
    ids = _save(store, tenant)
    before = _connection_of(store)

    def read_and(end: Callable[[], None]) -> None:
        _read_in_loops(store, tenant, *ids)
        end()

    for end in (store.close, lambda: store.__exit__(None, None, None), lambda: None):
        assert _ended(_forked(partial(read_and, end))) == 0
    assert _ended(_forked(store.close)) == 0
    _read_in_loops(store, tenant, *ids)
    assert _connection_of(store) is before
    assert not before.closed


def test_a_fork_during_saves_does_not_block_the_child(store: Store) -> None:
    """Whatever locks the parent's threads hold at the fork, the child works."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Event

    tenant, over = uuid4(), Event()
    ids = _save(store, tenant)

    def busy() -> None:
        while not over.is_set():
            _save(store, tenant)

    with ThreadPoolExecutor(2) as pool:
        work = [pool.submit(busy) for _ in range(2)]
        try:
            children = [_forked(lambda: _read_once(store, tenant, *ids)) for _ in range(_CHILDREN)]
            assert [_ended(child) for child in children] == [0] * _CHILDREN
        finally:
            over.set()
    assert [each.result() for each in work] == [None, None]


def test_a_child_can_use_an_async_store(embedded: Store) -> None:
    """A forked child can use the store in a new event loop; the parent's loop continues."""
    tenants = [uuid4(), uuid4()]

    async def use(store: AsyncStore, tenant: UUID, child: Callable[[], int] | None = None) -> int | None:
        notes = store.scope(tenant=tenant, actor="test").repository(Note)
        body = str(tenant).encode()
        saved = await notes.save(Note(title=str(tenant), content=Blob(body)))
        born = child() if child else None
        for _ in range(_READS):
            assert (await notes.get(saved.ref_id)).title == str(tenant)
            assert await notes.read(saved.ref_id, "content") == body
        return born

    async def parent() -> int:
        async with AsyncStore.open(embedded.settings) as store:

            def fork() -> int:
                return _forked(lambda: _in_a_fresh_loop(use(store, tenants[1])))

            born = await use(store, tenants[0], fork)
            assert born
            return await asyncio.to_thread(_ended, born)

    assert asyncio.run(parent()) == 0


def test_a_child_ends_cleanly(embedded: Store) -> None:
    """A forked child exits without output, without delay, and without an effect on its parent."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", __file__],
        env={**os.environ, **embedded.settings.to_env(), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "child\nparent\n", "")


def _in_a_fresh_loop(flow: Any) -> None:
    asyncio.set_event_loop(None)
    asyncio.run(flow)


def _save(store: Store, tenant: UUID) -> tuple[str, str]:
    scope = store.scope(tenant=tenant, actor="test")
    run = scope.repository(Run).save(Run(name=str(tenant)))
    call = Call(run_id=run.id, name=str(tenant), transcript=Blob(str(tenant)), payload={"q": str(tenant)})  # type: ignore[arg-type]  # pydantic makes it one
    return run.ref_id, scope.repository(Call).save(call).ref_id


def _read_in_loops(store: Store, tenant: UUID, run_id: str, call_id: str) -> None:
    for _ in range(_READS):
        _read_once(store, tenant, run_id, call_id)


def _read_once(store: Store, tenant: UUID, run_id: str, call_id: str) -> None:
    scope = store.scope(tenant=tenant, actor="test")
    assert scope.repository(Run).get(run_id).name == str(tenant)
    call = scope.repository(Call).get(call_id, load=["payload"])
    assert call.name == call.payload.q == str(tenant)  # type: ignore[union-attr]  # it was loaded
    assert scope.repository(Call).read(call_id, "transcript") == str(tenant).encode()


def _connection_of(store: Store) -> Any:
    pool: Any = store._assembly.ledger.pool  # type: ignore[union-attr]
    connection = pool.take()
    pool.give_back(connection)
    return connection


def _forked(work: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn about fork with threads
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _main() -> None:
    with Store.open(Settings.from_env()) as store:
        tenant = uuid4()
        ids = _save(store, tenant)
        _read_once(store, tenant, *ids)
        child = os.fork()
        if child:
            assert _ended(child) == 0
        _read_once(store, tenant, *ids)
        print("parent" if child else "child", flush=True)


if __name__ == "__main__":
    _main()
