"""The variables PG* of the environment, from which libpq takes what a connection does not set."""

from __future__ import annotations

from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from pydantic import SecretStr

from storekit import ConfigurationError, Settings, Store
from storekit.bridge import settle
from tests.support.adapters import APIS, opened
from tests.support.entities import Run

HOSTILE = {
    "PGHOST": "192.0.2.1",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "9",
    "PGDATABASE": "missing",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGPASSFILE": "/missing",
    "PGREQUIREAUTH": "gss",
    "PGCHANNELBINDING": "require",
    "PGOPTIONS": "-c search_path=nowhere",
    "PGAPPNAME": "mine",
    "PGSSLMODE": "verify-full",
    "PGREQUIRESSL": "1",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLCOMPRESSION": "1",
    "PGSSLCERT": "/missing",
    "PGSSLKEY": "/missing",
    "PGSSLCERTMODE": "invented",
    "PGSSLROOTCERT": "system",
    "PGSSLCRL": "/missing",
    "PGSSLCRLDIR": "/missing",
    "PGSSLSNI": "0",
    "PGREQUIREPEER": "nobody",
    "PGSSLMINPROTOCOLVERSION": "invented",
    "PGSSLMAXPROTOCOLVERSION": "TLSv1",
    "PGGSSENCMODE": "require",
    "PGKRBSRVNAME": "other",
    "PGGSSLIB": "gssapi",
    "PGGSSDELEGATION": "1",
    "PGCONNECT_TIMEOUT": "invented",
    "PGCLIENTENCODING": "LATIN1",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "invented",
    "PGMINPROTOCOLVERSION": "3.2",
    "PGMAXPROTOCOLVERSION": "invented",
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "SQL, DMY",
    "PGGEQO": "off",
    "PGSERVICEFILE": "/missing",
    "PGSYSCONFDIR": "/missing",
    "PGLOCALEDIR": "/missing",
}
"""Every variable of libpq but PGSERVICE, with a value that breaks a connection that heeds it, if one does."""
SESSION = {"TimeZone": "UTC", "DateStyle": "ISO, MDY", "geqo": "on", "client_encoding": "UTF8"}


def test_every_variable_of_libpq_is_in_the_list() -> None:
    """The list of this file has every variable that gives libpq a parameter of the connection."""
    found = {each.envvar.decode() for each in Conninfo.get_defaults() if each.envvar}
    assert found - {"PGSERVICE"} <= HOSTILE.keys()


def another(store: Store) -> Settings:
    """Return settings of the same servers with connections of their own."""
    return store.settings.model_copy(update={"pool_size": 1, "pool_min": 1, "pool_queue": uuid4().int % 9999})


async def session_of(tx: Any) -> dict[str, str]:
    """Return the settings of a unit's session."""
    connection = await settle(tx.connection)
    found = {}
    for name in (*SESSION, "search_path"):
        row = await settle((await settle(connection.execute(f"SHOW {name}"))).fetchone())
        found[name] = row[0]
    return found


@pytest.mark.parametrize(("api", "variable"), [*product(["sync"], HOSTILE), *product(APIS, ["all"])])
async def test_no_variable_reaches_the_embedded_servers(
    embedded: Store, api: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable of libpq changes a connection to the embedded servers, or the session of your own SQL."""
    for name in HOSTILE if variable == "all" else [variable]:
        monkeypatch.setenv(name, HOSTILE[name])
    async with opened(api, another(embedded)) as store:
        scope = store.scope(tenant=uuid4(), actor="test")
        saved = await settle(scope.repository(Run).save(Run(name="Grüße 世界")))
        assert (await settle(scope.repository(Run).get(saved.ref_id))).name == "Grüße 世界"
        for _ in range(2):  # the first unit's session is reset, the second one uses it again
            tx: Any = scope.transaction()
            if api == "sync":
                with tx:
                    found = await session_of(tx)
            else:
                async with tx:
                    found = await session_of(tx)
            assert found.pop("search_path") != "nowhere"
            assert found == SESSION
        embedded.migrate()


@pytest.mark.parametrize(
    ("variable", "value"), [("PGTZ", "Nowhere"), ("PGDATESTYLE", "odd"), ("PGGEQO", "odd")]
)
@pytest.mark.parametrize("api", APIS)
async def test_a_value_that_postgres_refuses(
    embedded: Store, api: str, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq always sends PGTZ, PGDATESTYLE and PGGEQO: a value that Postgres refuses is named at once."""
    monkeypatch.setenv(variable, value)
    async with opened(api, another(embedded)) as store:
        with pytest.raises(ConfigurationError, match=r"refused .* parameter .*PGTZ, PGDATESTYLE"):
            await settle(store.scope(tenant=uuid4(), actor="test").repository(Run).find())


@pytest.mark.parametrize("api", APIS)
async def test_variables_apply_to_own_servers(
    embedded: Store, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On your own servers variables apply to what the URL does not set; texts are always sent in UTF-8."""
    assert embedded.settings.postgres_url
    known = conninfo_to_dict(embedded.settings.postgres_url.get_secret_value())
    for name, value in {"PGTZ": "Asia/Tokyo", "PGCLIENTENCODING": "LATIN1", "PGAPPNAME": "mine"}.items():
        monkeypatch.setenv(name, value)
    at = "{user}:{password}@{host}:{port}/{dbname}".format(**known)
    settings = another(embedded).model_copy(
        update={"postgres_url": SecretStr(f"postgresql://{at}?client_encoding=LATIN1")}
    )
    tenant = uuid4()
    async with opened(api, settings) as store:
        scope = store.scope(tenant=tenant, actor="test")
        await settle(scope.repository(Run).save(Run(name="Grüße")))
        tx: Any = scope.transaction()
        if api == "sync":
            with tx:
                found = await session_of(tx)
        else:
            async with tx:
                found = await session_of(tx)
    assert (found["TimeZone"], found["client_encoding"]) == ("Asia/Tokyo", "UTF8")
    monkeypatch.delenv("PGCLIENTENCODING")
    [stored] = embedded.scope(tenant=tenant, actor="test").repository(Run).find()
    assert stored.name == "Grüße"
