"""A login that row-level security does not hold is refused before it does anything."""

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
from tests.security.isolation_tables import MINE
from tests.support.postgres import Database
from tests.support.proxy import Proxy

COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])
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
}


@pytest.fixture(params=LOGINS)
def trusted(walled: Database, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Make a login of the app that has more than it should; answer its URL and what is wrong with it."""
    login = f"l{uuid4().hex}"
    grant, what = LOGINS[request.param]
    if "SET FALSE" in grant and walled.ask("SHOW server_version_num") < [("160000",)]:
        grant = "GRANT storekit_owner TO {} WITH ADMIN OPTION"
    bypassing = (
        "DO $$ BEGIN IF to_regrole('bypassing') IS NULL THEN CREATE ROLE bypassing BYPASSRLS; END IF; END $$"
    )
    for statement in (bypassing, f"CREATE ROLE {login} LOGIN IN ROLE storekit_app", grant.format(login)):
        walled.ask(statement)
    yield walled.url(login), what
    walled.ask(f"DROP ROLE {login}")


async def try_to_save(colour: str, **urls: str) -> None:
    """Save a record, then read it, as the first things that a store does."""
    settings = Settings(**{name: SecretStr(url) for name, url in urls.items()})  # type: ignore[arg-type]
    store = Store.open(settings) if colour == "sync" else AsyncStore.open(settings)
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


@COLOURS
async def test_a_login_above_the_walls_is_refused(
    walled: Database, trusted: tuple[str, str], colour: str
) -> None:
    """A superuser, BYPASSRLS and who may become the owner: ConfigurationError names POSTGRES_URL and why."""
    url, what = trusted
    before = walled.ask("SELECT count(*) FROM storekit.event_inbox")
    with pytest.raises(ConfigurationError, match=f"{what}.*POSTGRES_URL"):
        await try_to_save(colour, postgres_url=url)
    assert walled.ask("SELECT count(*) FROM storekit.event_inbox") == before


@COLOURS
async def test_nothing_is_sent_after_the_refusal(walled: Database, colour: str) -> None:
    """A refused login asks its one question and says good-bye; nothing else goes over its link."""
    login = f"l{uuid4().hex}"
    walled.ask(f"CREATE ROLE {login} LOGIN SUPERUSER IN ROLE storekit_app")
    proxy, through = _proxied(walled.url(login))
    try:
        with proxy, pytest.raises(ConfigurationError):
            await try_to_save(colour, postgres_url=through)
        asked = _flights_of_a_connection(walled.url(login)) + 1
        assert {link.flights for link in proxy.links} == {asked + 1}  # the last one is the farewell
    finally:
        walled.ask(f"DROP ROLE {login}")


@COLOURS
async def test_a_healthy_login_is_asked_once(walled: Database, colour: str) -> None:
    """The first connection asks one question; every call afterwards is one trip."""
    set_up = _flights_of_a_connection(walled.url("app"))
    proxy, through = _proxied(walled.url("app"))
    settings = Settings(postgres_url=SecretStr(through), pool_size=1)
    store = Store.open(settings) if colour == "sync" else AsyncStore.open(settings)
    with proxy:
        try:
            saved = await settle(_runs(store).save(ActivityRun(activity="x", agent="y")))
            assert proxy.flights == set_up + 2
            for n in range(1, 4):
                await settle(_runs(store).get(saved.ref_id))
                assert proxy.flights == set_up + 2 + n
        finally:
            await settle(store.close())


@COLOURS
async def test_the_reporters_login_is_held_too(walled: Database, colour: str) -> None:
    """A reporter that is above the walls is refused as POSTGRES_REPORTER_URL."""
    login = f"l{uuid4().hex}"
    walled.ask(f"CREATE ROLE {login} LOGIN BYPASSRLS IN ROLE storekit_reporter")
    settings = Settings(postgres_reporter_url=SecretStr(walled.url(login)))
    store = Store.open(settings) if colour == "sync" else AsyncStore.open(settings)
    try:
        with pytest.raises(ConfigurationError, match="BYPASSRLS.*POSTGRES_REPORTER_URL"):
            await settle(store.report("chances", actor="user:cfo"))
    finally:
        await settle(store.close())
        walled.ask(f"DROP ROLE {login}")


@COLOURS
async def test_a_server_with_known_holes_in_its_walls_is_refused(
    walled: Database, monkeypatch: pytest.MonkeyPatch, colour: str
) -> None:
    """A minor release from before the fixes is refused, and the message names which will do."""
    monkeypatch.setattr("storekit.drivers.postgres.pool.versions.PATCHED", dict.fromkeys(range(15, 30), 99))
    with pytest.raises(
        ConfigurationError, match=r"known vulnerabilities in row-level security; upgrade it to \d+\.99"
    ):
        await try_to_save(colour, postgres_url=walled.url("app"))
