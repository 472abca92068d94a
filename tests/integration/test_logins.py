"""Wrong URLs and passwords raise an error at once, which contains no secret."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from storekit import (
    AsyncStore,
    ConfigurationError,
    Entity,
    Settings,
    Store,
    StorekitError,
    Unavailable,
    UsageError,
    ids,
)
from tests.support.entities import Report, Run

_SECRET = "hunter2"
APIS = pytest.mark.parametrize("api", ["sync", "async"])


async def _save(api: str, settings: Settings, entity: Entity | None = None) -> None:
    saved = entity or Run(name="x")
    if api == "sync":
        with Store.open(settings) as store:
            store.scope(tenant=uuid4(), actor="test").repository(type(saved)).save(saved)
    else:
        async with AsyncStore.open(settings) as later:
            await later.scope(tenant=uuid4(), actor="test").repository(type(saved)).save(saved)


async def _refused(
    api: str, settings: Settings, kind: type[StorekitError], entity: Entity | None = None
) -> tuple[StorekitError, float]:
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        await _save(api, settings, entity)
    return caught.value, time.monotonic() - began


def _with(embedded: Store, **changes: Any) -> Settings:
    assert embedded.settings.postgres_url
    known = conninfo_to_dict(embedded.settings.postgres_url.get_secret_value())
    url = make_conninfo(**{**known, **changes})
    return embedded.settings.model_copy(update={"postgres_url": SecretStr(url)})


@APIS
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"password": _SECRET}, "password authentication failed"),
        ({"user": "nobody", "password": _SECRET}, "nobody"),
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
    ],
)
async def test_a_refused_login_is_a_configuration_error(
    embedded: Store, api: str, change: dict[str, Any], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names variable and login without delay, its detail host and port; no log has the password."""
    caplog.set_level(logging.DEBUG)
    settings = _with(embedded, **change)
    assert settings.postgres_url
    known = conninfo_to_dict(settings.postgres_url.get_secret_value())
    error, took = await _refused(api, settings, ConfigurationError)
    assert named in str(error)
    assert error.detail == f"{known['host']}:{known['port']}"
    assert "check POSTGRES_URL" in str(error)
    assert str(known["user"]) in str(error)
    assert took < settings.timeout.total_seconds() / 3
    assert str(known["password"]) not in str(error) + caplog.text


@APIS
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{_SECRET}%zz@h/d",
        f"postgresql://u:x/{_SECRET}@h/d",
        f"postgresql://u:x@{_SECRET}@h/d",
        f"u:{_SECRET}@h",
    ],
)
async def test_an_invalid_url_is_not_quoted(api: str, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """An invalid POSTGRES_URL raises ConfigurationError; neither the error nor a log quotes the URL."""
    caplog.set_level(logging.DEBUG)
    settings = Settings.model_validate({"postgres_url": url})
    error, took = await _refused(api, settings, ConfigurationError)
    assert "POSTGRES_URL" in str(error)
    assert error.__context__ is None
    assert took < 1
    assert _SECRET not in str(error) + caplog.text


def _resolve(really: Callable[..., Any], host: Any, *arguments: Any, **keywords: Any) -> Any:
    """Resolve no host of domain `invalid`, whichever resolver the machine has."""
    if str(host).endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return really(host, *arguments, **keywords)


@APIS
@pytest.mark.parametrize(
    ("place", "cause"),
    [("127.0.0.1:1", "connection refused"), ("nowhere.invalid:1", "name or service not known")],
)
async def test_an_unreachable_server_is_named(
    api: str,
    place: str,
    cause: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unavailable names the variable; its detail has host, port and libpq's cause, and pools log it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(socket, "getaddrinfo", partial(_resolve, socket.getaddrinfo))
    url = f"postgresql://u:{_SECRET}@{place}/d"
    settings = Settings.model_validate({"postgres_url": url, "timeout": 0.5})
    error, _ = await _refused(api, settings, Unavailable)
    assert "no connection to POSTGRES_URL within 0.5 s, which is timeout (STOREKIT_TIMEOUT);" in str(error)
    assert error.detail == f"{place}: {cause}"
    assert "error connecting in 'pool-" in caplog.text
    assert _SECRET not in str(error) + str(error.detail) + caplog.text


@APIS
@pytest.mark.parametrize("place", ["127.0.0.1:1", "127.0.0.1:1,localhost:2"])
async def test_an_unreachable_mongodb_server_is_named(embedded: Store, api: str, place: str) -> None:
    """Unavailable names seconds and the variable, its detail the hosts, never the URL's login or password."""
    url = SecretStr(f"mongodb://somebody:{_SECRET}@{place}/d")
    settings = embedded.settings.model_copy(update={"mongo_url": url, "timeout": timedelta(seconds=1.5)})
    error, _ = await _refused(api, settings, Unavailable, Report(title="x", body={"far": "away"}))
    assert "mongo is unavailable: no connection to MONGO_URL within 1.5 s, which is timeout" in str(error)
    assert str(error.detail).startswith(f"{place}: ")
    assert not {"somebody", _SECRET, "127.0.0.1"} & {*str(error).split()}
    assert not any(secret in f"{error} {error.detail}" for secret in ("somebody", _SECRET))


@APIS
def test_an_unreachable_server_prints_nothing(api: str) -> None:
    """Without logging configuration nothing is printed besides the typed error."""
    program = f"""
import asyncio
from tests.integration.test_logins import Settings, Unavailable, _save

settings = Settings.model_validate({{"postgres_url": "postgresql://u@127.0.0.1:1/d", "timeout": 0.5}})
try:
    asyncio.run(_save({api!r}, settings))
except Unavailable:
    print("unavailable")
"""
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert said.stdout == "unavailable\n"


def test_an_embedded_store_can_be_entered_again(embedded: Store, stack: Path) -> None:
    """A closed embedded store can be entered again; its old repositories stay closed."""
    store = Store.embedded(stack, [Run])
    tenant = uuid4()
    with store:
        old = store.scope(tenant=tenant, actor="test").repository(Run)
        saved = old.save(Run(name="kept"))
    with store:
        assert store.scope(tenant=tenant, actor="test").repository(Run).get(saved.ref_id).name == "kept"
        with pytest.raises(UsageError, match="the store is closed"):
            old.get(saved.ref_id)


@APIS
@pytest.mark.parametrize(("days", "named"), [(3, "ahead of"), (-3, "behind")])
async def test_a_clock_that_differs_by_days_is_refused_at_the_first_connection(
    embedded: Store, api: str, days: int, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a process that only reads learns the difference: the URLs that it signs would not be valid."""
    now = ids.now
    monkeypatch.setattr(ids, "now", lambda: now() + timedelta(days=days))
    settings = embedded.settings.model_copy(update={"pool_size": 7})
    error, _ = await _refused(api, settings, ConfigurationError)
    assert re.search(
        rf"clock of this machine is (3 days, 0|2 days, 23):\d\d:\d\d {named} the clock", str(error)
    )
