"""A login that is exempt from row-level security is refused before it does anything."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from storekit import AsyncStore, ConfigurationError, Settings, Store
from storekit.agency import ActivityRun
from storekit.bridge import settle
from storekit.cli.relay import examine
from tests.security.isolation_tables import MINE
from tests.support.postgres import Database
from tests.support.proxy import Proxy

APIS = pytest.mark.parametrize("api", ["sync", "async"])
LOGINS = {
    "a superuser": ("ALTER ROLE {} SUPERUSER", "a superuser"),
    "BYPASSRLS": ("ALTER ROLE {} BYPASSRLS", "a role with BYPASSRLS"),
    "may become the owner": ("GRANT storekit_owner TO {}", "storekit_owner"),
    "may read what reports read": ("GRANT storekit_reports TO {}", "storekit_reports"),
    "may become who may become the owner": ("GRANT admin TO {}", "storekit_owner"),
    "administers the owner's role": (
        "GRANT storekit_owner TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
        "storekit_owner",
    ),
    "may become a superuser": ("GRANT postgres TO {}", "a superuser"),
    "may become who bypasses": ("GRANT bypassing TO {}", "a role with BYPASSRLS"),
    "is a worker too": ("GRANT storekit_worker TO {}", "storekit_worker"),
    "is an auditor too": ("GRANT storekit_auditor TO {}", "storekit_auditor"),
    "is a reporter too": ("GRANT storekit_reporter TO {}", "storekit_reporter"),
    "reads all data": ("GRANT pg_read_all_data TO {}", "pg_read_all_data"),
    "writes all data": ("GRANT pg_write_all_data TO {}", "pg_write_all_data"),
    "runs programs": ("GRANT pg_execute_server_program TO {}", "pg_execute_server_program"),
    "copies the cluster": ("ALTER ROLE {} REPLICATION", "a role with REPLICATION"),
    "creates roles": ("ALTER ROLE {} CREATEROLE", "a role with CREATEROLE"),
    "owns a table": ("ALTER TABLE activity_runs OWNER TO {}", "owns the table public.activity_runs"),
}


@pytest.fixture(params=LOGINS)
def trusted(matrix_db: Database, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Give the app's login too many rights; return its URL and the reason why it must be refused."""
    login = f"l{uuid4().hex}"
    grant, what = LOGINS[request.param]
    if "SET FALSE" in grant and matrix_db.ask("SHOW server_version_num") < [("160000",)]:
        grant = "GRANT storekit_owner TO {} WITH ADMIN OPTION"
    bypassing = (
        "DO $$ BEGIN IF to_regrole('bypassing') IS NULL THEN CREATE ROLE bypassing BYPASSRLS; END IF; END $$"
    )
    for statement in (bypassing, f"CREATE ROLE {login} LOGIN IN ROLE storekit_app", grant.format(login)):
        matrix_db.ask(statement)
    matrix_db.ask(f"GRANT CONNECT ON DATABASE {matrix_db.name} TO {login}")
    yield matrix_db.url(login), what
    matrix_db.ask("ALTER TABLE activity_runs OWNER TO storekit_owner")
    _drop(matrix_db, login)


def _drop(database: Database, login: str) -> None:
    database.ask(f"REVOKE ALL ON DATABASE {database.name} FROM {login}")
    database.ask(f"DROP ROLE {login}")


async def try_to_save(api: str, **urls: str) -> None:
    """Save a record, then read it, as the first calls of a store."""
    settings = Settings(**{name: SecretStr(url) for name, url in urls.items()})  # type: ignore[arg-type]
    store = Store.open(settings) if api == "sync" else AsyncStore.open(settings)
    try:
        await settle(_runs(store).save(ActivityRun(activity="x", agent="y")))
    finally:
        await settle(store.close())


def _runs(store: Store | AsyncStore):  # type: ignore[no-untyped-def]
    return store.scope(tenant=MINE, actor="agent:writer").repository(ActivityRun)


def _proxied(url: str) -> tuple[Proxy, str]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = Proxy(parts.hostname, parts.port)
    return proxy, url.replace(f":{parts.port}/", f":{proxy.port}/")


def _flights_of_a_connection(url: str) -> int:
    proxy, through = _proxied(url)
    with proxy, psycopg.connect(through):
        return proxy.links[0].flights


@APIS
async def test_a_login_exempt_from_row_level_security_is_refused(
    matrix_db: Database, trusted: tuple[str, str], api: str
) -> None:
    """A superuser, BYPASSRLS or a member of the owner raises ConfigurationError with the reason."""
    url, what = trusted
    before = matrix_db.ask("SELECT count(*) FROM storekit.event_inbox")
    with pytest.raises(ConfigurationError, match=f"{what}.*POSTGRES_URL"):
        await try_to_save(api, postgres_url=url)
    assert matrix_db.ask("SELECT count(*) FROM storekit.event_inbox") == before


@APIS
async def test_nothing_is_sent_after_the_refusal(matrix_db: Database, api: str) -> None:
    """A refused login sends one query and a Terminate message, and nothing else."""
    login = f"l{uuid4().hex}"
    matrix_db.ask(f"CREATE ROLE {login} LOGIN SUPERUSER IN ROLE storekit_app")
    proxy, through = _proxied(matrix_db.url(login))
    try:
        with proxy, pytest.raises(ConfigurationError):
            await try_to_save(api, postgres_url=through)
        flights = _flights_of_a_connection(matrix_db.url(login)) + 1
        assert {link.flights for link in proxy.links} == {
            flights + 1
        }  # the last one is the Terminate message
    finally:
        matrix_db.ask(f"DROP ROLE {login}")


@APIS
async def test_a_valid_login_is_checked_once(matrix_db: Database, api: str) -> None:
    """The first connection sends one query to check the login; every later call is one trip."""
    set_up = _flights_of_a_connection(matrix_db.url("app"))
    proxy, through = _proxied(matrix_db.url("app"))
    settings = Settings(postgres_url=SecretStr(through), pool_size=1)
    store = Store.open(settings) if api == "sync" else AsyncStore.open(settings)
    with proxy:
        try:
            saved = await settle(_runs(store).save(ActivityRun(activity="x", agent="y")))
            assert proxy.flights == set_up + 2
            for n in range(1, 4):
                await settle(_runs(store).get(saved.ref_id))
                assert proxy.flights == set_up + 2 + n
        finally:
            await settle(store.close())


@APIS
async def test_the_reporters_login_is_checked(matrix_db: Database, api: str) -> None:
    """A reporter that is exempt from row-level security is refused with POSTGRES_REPORTER_URL."""
    login = f"l{uuid4().hex}"
    matrix_db.ask(f"CREATE ROLE {login} LOGIN BYPASSRLS IN ROLE storekit_reporter")
    matrix_db.ask(f"GRANT CONNECT ON DATABASE {matrix_db.name} TO {login}")
    settings = Settings(postgres_reporter_url=SecretStr(matrix_db.url(login)))
    store = Store.open(settings) if api == "sync" else AsyncStore.open(settings)
    try:
        with pytest.raises(ConfigurationError, match="BYPASSRLS.*POSTGRES_REPORTER_URL"):
            await settle(store.report("chances", actor="user:cfo"))
    finally:
        await settle(store.close())
        _drop(matrix_db, login)


def test_the_workers_login_is_checked(matrix_db: Database) -> None:
    """A worker that is exempt from row-level security is refused with POSTGRES_WORKER_URL."""
    login = f"l{uuid4().hex}"
    matrix_db.ask(f"CREATE ROLE {login} LOGIN BYPASSRLS IN ROLE storekit_worker")
    matrix_db.ask(f"GRANT CONNECT ON DATABASE {matrix_db.name} TO {login}")
    try:
        with pytest.raises(ConfigurationError, match="BYPASSRLS.*POSTGRES_WORKER_URL"):
            examine(Settings(postgres_worker_url=SecretStr(matrix_db.url(login))))
    finally:
        _drop(matrix_db, login)


@APIS
async def test_a_server_with_known_security_bugs_is_refused(
    matrix_db: Database, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    """A minor release without the security fixes is refused, and the message lists supported releases."""
    monkeypatch.setattr("storekit.drivers.postgres.pool.versions.PATCHED", dict.fromkeys(range(15, 30), 99))
    with pytest.raises(
        ConfigurationError, match=r"known vulnerabilities in row-level security; upgrade it to \d+\.99"
    ):
        await try_to_save(api, postgres_url=matrix_db.url("app"))
