"""One session of the server for everybody: what one transaction set is gone in the next."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from storekit import (
    AsyncStore,
    Blob,
    ConfigurationError,
    Conflict,
    ConstraintViolation,
    Entity,
    NotFound,
    Settings,
    Store,
)
from storekit.drivers.postgres.queries.reads import SET_TENANT
from tests.support.entities import Call, Payload, Run, Tariff, Wide
from tests.support.harness import Harness, over_http
from tests.support.pgbouncer import LOGINS, behind_pgbouncer

TENANT = "SELECT coalesce(current_setting('storekit.tenant', true), '')"
SEEN = "SELECT count(*) FROM runs"


class Ghost(Entity, table="ghosts"):
    """A class that nobody has migrated."""

    name: str


@pytest.fixture(scope="module")
def shared(embedded: Store) -> Iterator[Settings]:
    """Lead through a PgBouncer that has one session for each login."""
    with behind_pgbouncer(embedded.settings, 1, (*LOGINS, "postgres_admin_url")) as settings:
        yield settings


@pytest.fixture(params=["sync", "async"])
async def two(request: pytest.FixtureRequest, shared: Settings) -> AsyncIterator[tuple[Harness, Harness]]:
    """Give two stores, each with a tenant of its own, on that one session."""
    if request.param == "sync":
        with Store.open(shared) as one, Store.open(shared) as other:
            yield harness(one), harness(other)
    else:
        async with AsyncStore.open(shared) as first, AsyncStore.open(shared) as second:
            yield harness(first), harness(second)


def harness(store: Store | AsyncStore) -> Harness:
    return Harness(store, over_http, lambda _: None)


def client(shared: Settings, login: str = "postgres_url") -> closing[psycopg.Connection[Any]]:
    """Come as somebody without storekit."""
    url = getattr(shared, login).get_secret_value()
    return closing(psycopg.connect(url, autocommit=True, prepare_threshold=None))


def left_behind(shared: Settings) -> tuple[str, int]:
    """Tell the tenant that the session still has, and how many of its rows the next client would see."""
    with client(shared) as connection:
        (tenant,) = connection.execute(TENANT).fetchone() or ("nothing",)
        (rows,) = connection.execute(SEEN).fetchone() or (-1,)
        return tenant, rows


def test_all_have_one_session(shared: Settings) -> None:
    """Two clients are served by the same session of the server: else nothing below would show anything."""
    pids = set()
    for _ in range(2):
        with client(shared) as connection:
            pids.add(connection.execute("SELECT pg_backend_pid()").fetchone())
    assert len(pids) == 1


async def test_two_tenants_at_once_see_their_own(two: tuple[Harness, Harness], shared: Settings) -> None:
    """Saves and reads of two tenants, all at the same time on one session, never meet."""

    async def work(mine: Harness, i: int) -> tuple[Harness, Call, bytes]:
        saved = await mine.call(name=f"n{i}", payload=Payload(q=str(i)), transcript=Blob(f"# {mine.tenant}"))
        found = await mine.repository(Call).get(saved.ref_id, load=["payload"])
        assert (found.tenant_id, found.name, found.payload.q) == (mine.tenant, f"n{i}", str(i))
        return mine, saved, await mine.repository(Call).read(saved.ref_id, "transcript")

    done = await asyncio.gather(*(work(each, i) for i in range(8) for each in two))
    assert [body for _, _, body in done] == [f"# {mine.tenant}".encode() for mine, _, _ in done]
    for mine, saved, _ in done:
        other = two[mine is two[0]]
        with pytest.raises(NotFound):
            await other.repository(Call).get(saved.ref_id)
    assert left_behind(shared) == ("", 0)


async def test_an_error_leaves_no_tenant_behind(two: tuple[Harness, Harness], shared: Settings) -> None:
    """Whatever the server refused, and wherever in the transaction, the next client has no tenant."""
    mine, other = two
    run = await mine.run()
    attempts: dict[type[Exception], Callable[[], Any]] = {
        NotFound: lambda: mine.repository(Run).get(Run(name="never saved").ref_id),
        Conflict: lambda: mine.repository(Run).update(run.ref_id, {"score": 1}, expected_version=7),
        ConstraintViolation: lambda: mine.repository(Call).save(Call(run_id=Run(name="x").id, name="x")),
        ConfigurationError: lambda: mine.repository(Ghost).get(run.ref_id),
    }
    for kind, attempt in attempts.items():
        with pytest.raises(kind):
            await attempt()
        assert left_behind(shared) == ("", 0), kind
        with pytest.raises(NotFound):
            await other.repository(Run).get(run.ref_id)
        assert (await mine.repository(Run).get(run.ref_id)).score == 0


def begin(connection: psycopg.Connection[Any], tenant: bytes) -> None:
    """Have the tenant set in a transaction that waits for its next statement."""
    connection.pgconn.exec_(b"BEGIN")
    connection.pgconn.exec_params(SET_TENANT.encode(), [tenant])


def half_a_pipeline(connection: psycopg.Connection[Any], tenant: bytes) -> None:
    """Send what storekit sends, but for the end of it, and see the server answer."""
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(SET_TENANT.encode(), [tenant])
    pgconn.send_flush_request()
    pgconn.flush()
    assert pgconn.get_result() is not None


@pytest.mark.parametrize("leave_at", [begin, half_a_pipeline])
async def test_a_client_that_disappears_leaves_no_tenant_behind(
    two: tuple[Harness, Harness], shared: Settings, leave_at: Callable[[psycopg.Connection[Any], bytes], None]
) -> None:
    """Of a client that was gone in the middle of its transaction the next finds neither tenant nor rows."""
    mine, other = two
    run = await mine.run()
    with client(shared) as gone:
        leave_at(gone, str(mine.tenant).encode())
        with socket.socket(fileno=gone.fileno()) as link:
            link.shutdown(socket.SHUT_RDWR)
            link.detach()
    assert left_behind(shared) == ("", 0)
    with pytest.raises(NotFound):
        await other.repository(Run).get(run.ref_id)
    assert (await mine.repository(Run).get(run.ref_id)).name == "nightly"


def test_the_admin_is_the_owner_in_its_transaction_alone(shared: Settings) -> None:
    """What the admin's login does after a global record was written, it does under its own name."""
    with Store.open(shared) as store:
        store.admin(actor="user:operator").repository(Tariff).save(Tariff(name="Pro"))
    with client(shared, "postgres_admin_url") as connection:
        assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)


def test_more_is_asked_at_once_than_there_are_sessions(shared: Settings) -> None:
    """A store with thirty connections works on one session: who comes later waits."""
    with Store.open(shared) as store:
        wide = store.scope(tenant=harness(store).tenant, actor="test").repository(Wide)
        saved = wide.save_many(Wide(a=Blob("a"), f={"n": i}) for i in range(30))
        assert len(wide.urls([each.ref_id for each in saved], "a")) == 30


def test_a_database_that_pgbouncer_does_not_know_is_a_wrong_setting(shared: Settings) -> None:
    """PgBouncer's own refusal is told at once, with the variable to check."""
    assert shared.postgres_url
    known = conninfo_to_dict(shared.postgres_url.get_secret_value())
    url = SecretStr(make_conninfo("", **{**known, "dbname": "nowhere"}))
    with (
        Store.open(shared.model_copy(update={"postgres_url": url})) as store,
        pytest.raises(ConfigurationError, match=r"no such database: nowhere; check POSTGRES_URL"),
    ):
        store.scope(tenant=harness(store).tenant, actor="test").repository(Run).save(Run(name="x"))
