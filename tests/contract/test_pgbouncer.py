"""Several clients share one Postgres session: the settings of a transaction do not outlive it."""

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


class Unmigrated(Entity, table="unmigrated"):
    """A class without a table in the database."""

    name: str


@pytest.fixture(scope="module")
def shared(embedded: Store) -> Iterator[Settings]:
    """Connect through a PgBouncer that has one session for each login."""
    with behind_pgbouncer(embedded.settings, 1, (*LOGINS, "postgres_admin_url")) as settings:
        yield settings


@pytest.fixture(params=["sync", "async"])
async def two_tenants(
    request: pytest.FixtureRequest, shared: Settings
) -> AsyncIterator[tuple[Harness, Harness]]:
    """Return the harnesses of two tenants on that one session."""
    if request.param == "sync":
        with Store.open(shared) as one, Store.open(shared) as other:
            yield harness(one), harness(other)
    else:
        async with AsyncStore.open(shared) as first, AsyncStore.open(shared) as second:
            yield harness(first), harness(second)


def harness(store: Store | AsyncStore) -> Harness:
    return Harness(store, over_http, lambda _: None)


def client(shared: Settings, login: str = "postgres_url") -> closing[psycopg.Connection[Any]]:
    """Connect a client that does not use storekit."""
    url = getattr(shared, login).get_secret_value()
    return closing(psycopg.connect(url, autocommit=True, prepare_threshold=None))


def session_state(shared: Settings) -> tuple[str, int]:
    """Return the tenant of the session, and the number of its rows that the next client would see."""
    with client(shared) as connection:
        (tenant,) = connection.execute(TENANT).fetchone() or ("nothing",)
        (rows,) = connection.execute(SEEN).fetchone() or (-1,)
        return tenant, rows


def test_clients_share_one_session(shared: Settings) -> None:
    """Two clients use the same session of the server, which the other tests rely on."""
    pids = set()
    for _ in range(2):
        with client(shared) as connection:
            pids.add(connection.execute("SELECT pg_backend_pid()").fetchone())
    assert len(pids) == 1


async def test_concurrent_tenants_see_only_their_own_records(
    two_tenants: tuple[Harness, Harness], shared: Settings
) -> None:
    """Concurrent saves and reads of two tenants on one session return only their own records."""

    async def work(mine: Harness, i: int) -> tuple[Harness, Call, bytes]:
        saved = await mine.call(name=f"n{i}", payload=Payload(q=str(i)), transcript=Blob(f"# {mine.tenant}"))
        found = await mine.repository(Call).get(saved.ref_id, load=["payload"])
        assert (found.tenant_id, found.name, found.payload.q) == (mine.tenant, f"n{i}", str(i))
        return mine, saved, await mine.repository(Call).read(saved.ref_id, "transcript")

    done = await asyncio.gather(*(work(each, i) for i in range(8) for each in two_tenants))
    assert [body for _, _, body in done] == [f"# {mine.tenant}".encode() for mine, _, _ in done]
    for mine, saved, _ in done:
        other = two_tenants[mine is two_tenants[0]]
        with pytest.raises(NotFound):
            await other.repository(Call).get(saved.ref_id)
    assert session_state(shared) == ("", 0)


async def test_an_error_leaves_no_tenant_behind(
    two_tenants: tuple[Harness, Harness], shared: Settings
) -> None:
    """After an error at any place of a transaction the next client has no tenant."""
    mine, other = two_tenants
    run = await mine.run()
    attempts: dict[type[Exception], Callable[[], Any]] = {
        NotFound: lambda: mine.repository(Run).get(Run(name="never saved").ref_id),
        Conflict: lambda: mine.repository(Run).update(run.ref_id, {"score": 1}, expected_version=7),
        ConstraintViolation: lambda: mine.repository(Call).save(Call(run_id=Run(name="x").id, name="x")),
        ConfigurationError: lambda: mine.repository(Unmigrated).get(run.ref_id),
    }
    for kind, attempt in attempts.items():
        with pytest.raises(kind):
            await attempt()
        assert session_state(shared) == ("", 0), kind
        with pytest.raises(NotFound):
            await other.repository(Run).get(run.ref_id)
        assert (await mine.repository(Run).get(run.ref_id)).score == 0


def begin_transaction(connection: psycopg.Connection[Any], tenant: bytes) -> None:
    """Begin a transaction, set the tenant, and leave it open."""
    connection.pgconn.exec_(b"BEGIN")
    connection.pgconn.exec_params(SET_TENANT.encode(), [tenant])


def send_half_a_pipeline(connection: psycopg.Connection[Any], tenant: bytes) -> None:
    """Send the pipeline of a call without its end, and wait for a response."""
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(SET_TENANT.encode(), [tenant])
    pgconn.send_flush_request()
    pgconn.flush()
    assert pgconn.get_result() is not None


@pytest.mark.parametrize("interrupt", [begin_transaction, send_half_a_pipeline])
async def test_a_client_that_disappears_leaves_no_tenant_behind(
    two_tenants: tuple[Harness, Harness],
    shared: Settings,
    interrupt: Callable[[psycopg.Connection[Any], bytes], None],
) -> None:
    """After a client disconnects in a transaction, the next client sees neither its tenant nor its rows."""
    mine, other = two_tenants
    run = await mine.run()
    with client(shared) as connection:
        interrupt(connection, str(mine.tenant).encode())
        with socket.socket(fileno=connection.fileno()) as link:
            link.shutdown(socket.SHUT_RDWR)
            link.detach()
    assert session_state(shared) == ("", 0)
    with pytest.raises(NotFound):
        await other.repository(Run).get(run.ref_id)
    assert (await mine.repository(Run).get(run.ref_id)).name == "nightly"


def test_the_admin_is_the_owner_only_in_its_transaction(shared: Settings) -> None:
    """After a global record is written, the admin's session has its own role again."""
    with Store.open(shared) as store:
        store.admin(actor="user:operator").repository(Tariff).save(Tariff(name="Pro"))
    with client(shared, "postgres_admin_url") as connection:
        assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)


def test_more_concurrent_calls_than_sessions_succeed(shared: Settings) -> None:
    """A store with thirty connections works on one session: further calls wait."""
    with Store.open(shared) as store:
        wide = store.scope(tenant=harness(store).tenant, actor="test").repository(Wide)
        saved = wide.save_many(Wide(a=Blob("a"), f={"n": i}) for i in range(30))
        assert len(wide.urls([each.ref_id for each in saved], "a")) == 30


def test_an_unknown_database_raises_configuration_error(shared: Settings) -> None:
    """A refusal by PgBouncer raises ConfigurationError at once, with the variable to check."""
    assert shared.postgres_url
    known = conninfo_to_dict(shared.postgres_url.get_secret_value())
    url = SecretStr(make_conninfo("", **{**known, "dbname": "nowhere"}))
    with (
        Store.open(shared.model_copy(update={"postgres_url": url})) as store,
        pytest.raises(ConfigurationError, match=r"no such database: nowhere; check POSTGRES_URL"),
    ):
        store.scope(tenant=harness(store).tenant, actor="test").repository(Run).save(Run(name="x"))
