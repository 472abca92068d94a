"""Settings of the worker's login change neither what is moved nor what is hashed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from storekit import Settings
from storekit.assembly import Assembly
from storekit.bridge import run
from storekit.flows.context import NIL, Actor, Context
from storekit.flows.sequence import work
from storekit.model.values.event_hash import COLUMNS, broken
from storekit.ports.statements import Work
from storekit.settings import Login
from tests.integration.test_sql_settings import CASES
from tests.support.postgres import Database, sample_database
from tests.support.sequencing import begin

LIMIT = timedelta(seconds=5)


@pytest.fixture(scope="module")
def log(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(cluster, tmp_path_factory.mktemp("log")) as database:
        yield database


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_setting_of_the_worker_changes_no_move(log: Database, name: str, value: str) -> None:
    """The relay moves all events and publishes completeness, and their hashes are those that Python computes,
    whatever a setting is for the worker's login."""
    tenant = uuid4()
    with log.connect() as app:
        begin(app, tenant)
        app.execute("SELECT set_config('storekit.context', '{\"n\": 1.50}', true)")
        app.execute("INSERT INTO jobs (title) VALUES ('a\\b''c')")
        app.execute("UPDATE jobs SET title = 'd' WHERE tenant_id = %s", [tenant])
        app.execute("COMMIT")
    change = sql.SQL("ALTER ROLE worker SET {} = {}").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
    )
    with psycopg.connect(log.super_url, autocommit=True) as root:
        root.execute(change)
        try:
            assert _relay(log) == 2
        finally:
            root.execute("ALTER ROLE worker RESET ALL")
    query = f"SELECT {COLUMNS} FROM storekit.domain_event d WHERE d.tenant_id = %s ORDER BY d.seq"
    with psycopg.connect(log.url("postgres"), row_factory=dict_row) as connection:
        events = connection.execute(query.encode(), [tenant]).fetchall()
    assert [event["seq"] for event in events] == [1, 2]
    assert broken(events) == []


def _relay(log: Database) -> int:
    """Work once as a relay, and return how many events it moved."""
    settings = Settings.model_validate({"postgres_worker_url": log.url("worker")})
    assembly = Assembly(settings, asynchronous=False)
    try:
        context = Context(assembly.acting_as(Login.WORKER), Actor(NIL, "relay"))
        reply = run(work(context, Work("relay", ("holder", LIMIT, 1000), LIMIT)))
        assert run(work(context, Work("waiting", (), LIMIT))) is False
        assert run(work(context, Work("health", (), LIMIT)))["complete_through"] is not None
        run(work(context, Work("resign", ("holder",), LIMIT)))
        return int(reply["moved"])
    finally:
        run(assembly.close())
