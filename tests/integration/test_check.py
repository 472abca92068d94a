"""`check()` reports what is wrong with each store, with the remedy, in bounded time, and never raises."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from storekit import AsyncStore, CheckReport, Settings, Store, UsageError
from storekit.bridge import settle
from storekit.testing import memory_store
from tests.support.postgres import Database
from tests.support.proxy import Proxy

APIS = pytest.mark.parametrize("api", ["sync", "async"])
SECRET = "do-not-print-this"


async def checked(settings: Settings, api: str = "sync") -> CheckReport:
    """Check the stores of these settings."""
    store: Any = Store.open(settings) if api == "sync" else AsyncStore.open(settings)
    try:
        report: CheckReport = await settle(store.check())
        return report
    finally:
        await settle(store.close())


@pytest.fixture
def silent() -> Iterator[int]:
    """Accept connections and never respond."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@APIS
async def test_the_stores_are_ok(embedded: Store, api: str) -> None:
    """Each store that has settings is listed with its version, and nothing is wrong."""
    report = await checked(embedded.settings, api)
    assert report.ok, str(report)
    assert [each.store for each in report.stores] == ["postgres", "mongo", "s3"]
    assert all(each.version for each in report.stores)
    alone = embedded.settings.model_copy(update={"mongo_url": None, "s3_bucket": None})
    assert [each.store for each in (await checked(alone, api)).stores] == ["postgres"]


@APIS
async def test_unreachable_stores_are_reported_in_bounded_time(silent: int, api: str) -> None:
    """Servers that do not respond cost the time-out once, and their reports name the remedy and no secret."""
    settings = Settings.model_validate(
        {
            "postgres_url": SecretStr(f"postgresql://app:{SECRET}@127.0.0.1:{silent}/d"),
            "mongo_url": SecretStr(f"mongodb://app:{SECRET}@127.0.0.1:{silent}"),
            "s3_endpoint_url": f"http://127.0.0.1:{silent}",
            "s3_bucket": "b",
            "s3_access_key": "key",
            "s3_secret_key": SecretStr(SECRET),
            "timeout": 1.5,
        }
    )
    began = time.monotonic()
    report = await checked(settings, api)
    assert time.monotonic() - began < 15
    assert not report.ok
    for each, variable in zip(report.stores, ("POSTGRES_URL", "MONGO_URL", "S3_ENDPOINT_URL"), strict=True):
        assert each.version is None
        (problem,) = each.problems
        assert variable in problem.remedy or "address" in problem.remedy
    assert SECRET not in repr(report)


async def test_each_store_costs_one_trip(embedded: Store) -> None:
    """Postgres is asked once after the login, and S3 once in all."""
    assert embedded.settings.postgres_url
    url = embedded.settings.postgres_url.get_secret_value()
    port = int(url.rpartition("@127.0.0.1:")[2].partition("/")[0])
    with Proxy("127.0.0.1", port) as proxy:
        settings = embedded.settings.model_copy(
            update={"postgres_url": SecretStr(url.replace(f":{port}/", f":{proxy.port}/")), "mongo_url": None}
        )
        assert settings.postgres_url
        with psycopg.connect(settings.postgres_url.get_secret_value()):
            login = proxy.flights
        assert (await checked(settings)).ok
    assert proxy.links[1].flights == login + 2  # the query, and the message that ends the connection
    endpoint = embedded.settings.s3_endpoint_url
    assert endpoint
    with Proxy("127.0.0.1", int(endpoint.rpartition(":")[2])) as proxy:
        settings = embedded.settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"})
        assert (await checked(settings)).ok
        assert proxy.flights == 1


POSTGRES = {
    "ALTER ROLE {} BYPASSRLS": ("a role with BYPASSRLS", "a member of one role alone: storekit_app"),
    "REVOKE storekit_app FROM {}": ("is not a member of storekit_app", "GRANT storekit_app"),
    "ALTER ROLE {} SET session_replication_role = replica": ("no triggers run in its sessions", "reset it"),
    "REVOKE CONNECT ON DATABASE {database} FROM {}": ("permission denied for database", "GRANT CONNECT ON"),
    "ALTER ROLE {} NOLOGIN": ("not permitted to log in", "POSTGRES_URL"),
}


@pytest.mark.parametrize("change", POSTGRES)
async def test_what_is_wrong_with_the_login_is_named(database: Database, change: str) -> None:
    """A login with too many or too few rights is reported with the statement that corrects it."""
    login = f"l{uuid4().hex}"
    database.ask(f"CREATE ROLE {login} LOGIN IN ROLE storekit_app")
    database.ask(f"GRANT CONNECT ON DATABASE {database.name} TO {login}")
    database.ask(change.format(login, database=database.name))
    try:
        (found,) = (await checked(Settings(postgres_url=SecretStr(database.url(login))))).stores
    finally:
        database.ask(f"REVOKE ALL ON DATABASE {database.name} FROM {login}")
        database.ask(f"DROP ROLE {login}")
    what, remedy = POSTGRES[change]
    assert what in found.problems[0].what
    assert remedy in found.problems[0].remedy


async def test_default_settings_of_a_login_are_no_problem(database: Database) -> None:
    """A login is ok whose search path, encoding or read-only transactions storekit overrides."""
    for setting in (
        "search_path = nowhere",
        "default_transaction_read_only = on",
        "client_encoding = latin1",
    ):
        database.ask(f"ALTER ROLE app SET {setting}")
    try:
        report = await checked(Settings(postgres_url=SecretStr(database.url("app"))))
    finally:
        database.ask("ALTER ROLE app RESET ALL")
    assert report.ok, str(report)


async def test_a_database_without_storekit_is_named(cluster: str) -> None:
    """A database that was never migrated is reported, with the command that sets it up."""
    (found,) = (await checked(Settings(postgres_url=SecretStr(cluster)))).stores
    assert ("the database has no schema storekit", "run storekit migrate") in [
        (each.what, each.remedy) for each in found.problems
    ]


async def test_what_is_wrong_with_the_other_stores_is_named(embedded: Store) -> None:
    """A bucket that is missing, a wrong key, a wrong password and a database without rights are reported."""
    assert embedded.settings.mongo_url
    url = embedded.settings.mongo_url.get_secret_value()
    for change, store, what, remedy in (
        ({"s3_bucket": "nowhere"}, 2, "nowhere does not exist", "storekit migrate"),
        ({"s3_secret_key": SecretStr("wrong")}, 2, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ({"s3_access_key": "wrong"}, 2, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ({"mongo_database": "theirs"}, 1, "may not read and write the database theirs", "readWrite"),
        (
            {"mongo_url": SecretStr(url.replace("mongo_storekit:", "mongo_storekit:x"))},
            1,
            "refused",
            "MONGO_URL",
        ),
        ({"mongo_url": SecretStr("mongodb://a:b@db.example/?tls=false")}, 1, "not this machine", "MONGO_TLS"),
    ):
        report = await checked(embedded.settings.model_copy(update=change))
        (problem,) = report.stores[store].problems
        assert what in problem.what, str(report)
        assert remedy in f"{problem.remedy} {problem.what}", str(report)
        assert [each.ok for each in report.stores].count(False) == 1


def test_a_store_in_memory_has_nothing_to_check() -> None:
    """A store in memory is ok and lists no server; a closed store refuses the call."""
    store = memory_store()
    assert store.check() == CheckReport(())
    store.close()
    with pytest.raises(UsageError, match="closed"):
        store.check()
