"""Nothing that a unit of work does to its connection reaches the next one; the pool has one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.string import StrDumper
from pydantic import SecretStr

from storekit import AsyncStore, ConfigurationError, Settings, Store, UsageError, render
from storekit.bridge import settle
from storekit.drivers.postgres.admin.runner import migrate
from storekit.schema.lines import core
from tests.integration.test_unit_inside import Units, sql
from tests.support.entities import Run
from tests.support.postgres import Database, migrated_database, write_line

STATE = """
SELECT current_user, session_user, current_setting('search_path'), current_setting('statement_timeout'),
       current_setting('default_transaction_read_only'), current_setting('storekit.tenant', true),
       (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors),
       (SELECT count(*) FROM pg_listening_channels()),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
       (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())
"""
LEFT_BY_SQL = {
    "a role": "SET ROLE analyst",
    "settings": "SET search_path = pg_temp; SET statement_timeout = '1ms'",
    "a read-only session": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "a tenant": "SET storekit.tenant = '00000000-0000-7000-8000-000000000001'",
    "a prepared statement": "PREPARE mine AS SELECT 1",
    "a held cursor": "DECLARE mine CURSOR WITH HOLD FOR SELECT generate_series(1, 9)",
    "a channel": "LISTEN mine",
    "an advisory lock": "SELECT pg_advisory_lock(7)",
    "a temporary table": "CREATE TEMPORARY TABLE runs (n int)",
}


class Upper(StrDumper):
    """Sends another text than the one that was given."""

    def dump(self, obj: Any) -> Any:
        return super().dump(obj.upper())


@pytest.fixture
def shared(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Create a database with the table of Run, and a role that the app may take and that has no rights."""
    with migrated_database(cluster) as database:
        line = write_line(tmp_path_factory.mktemp("runs") / "app", "app", render(Run))
        migrate(database.url("admin"), [core(), line])
        database.ask("DROP ROLE IF EXISTS analyst")
        database.ask("CREATE ROLE analyst NOLOGIN")
        database.ask("GRANT analyst TO app")
        yield database
        database.ask("DROP ROLE analyst")


@pytest.fixture(params=["sync", "async"])
async def units(shared: Database, request: pytest.FixtureRequest) -> AsyncIterator[Units]:
    settings = Settings(postgres_url=SecretStr(shared.url("app")), pool_min=1, pool_size=1)
    store = Store.open(settings) if request.param == "sync" else AsyncStore.open(settings)
    yield Units(store)
    await settle(store.close())


async def _state(units: Units) -> list[Any]:
    found: list[Any] = []

    async def read(tx: Any) -> None:
        cursor = await settle((await settle(tx.connection)).execute(STATE))
        found.extend(await settle(cursor.fetchone()))

    await units.work(read)
    return found


async def test_sql_of_a_unit_leaves_nothing_in_the_session(units: Units) -> None:
    """A role, a setting, a lock or any other state of the session ends with the unit that made it."""
    before = await _state(units)
    for what, query in LEFT_BY_SQL.items():
        await units.work(*map(sql, query.split("; ")))
        assert await _state(units) == before, what
        await settle(units.repository(Run).save(Run(name=what)))
    assert await settle(units.repository(Run).count()) == len(LEFT_BY_SQL)


async def test_python_settings_of_a_unit_end_with_it(units: Units) -> None:
    """Adapters, factories, handlers and prepared statements of psycopg do not reach the next unit."""
    heard: list[str] = []

    async def change(tx: Any) -> None:
        connection = await settle(tx.connection)
        connection.adapters.register_dumper(str, Upper)
        connection.row_factory, connection.prepare_threshold = dict_row, 0
        connection.cursor_factory = type(
            "Mine", (connection.cursor_factory,), {"fetchone": lambda self: "mine"}
        )
        connection.add_notice_handler(lambda notice: heard.append(str(notice.message_primary)))
        connection.add_notify_handler(lambda notify: heard.append(notify.payload))
        await settle(connection.execute("LISTEN mine"))

    async def use(tx: Any) -> None:
        connection = await settle(tx.connection)
        cursor = await settle(connection.execute("SELECT %s::text", ["hello"]))
        assert await settle(cursor.fetchone()) == ("hello",)
        await settle(connection.execute("DO $$ BEGIN RAISE WARNING 'for the first only'; END $$"))
        await settle(connection.execute("LISTEN mine"))
        await settle(connection.execute("NOTIFY mine, 'for the first only'"))

    await units.work(change)
    await units.work(use)
    await units.work(use)
    assert heard == []


async def test_what_is_kept_of_a_unit_cannot_send(units: Units) -> None:
    """A connection or a cursor that is kept is refused, also while the next unit runs."""
    kept: list[Any] = []

    async def keep(tx: Any) -> None:
        connection = await settle(tx.connection)
        cursor = connection.cursor()
        await settle(cursor.execute("SELECT 1"))
        named = connection.cursor("mine")
        await settle(named.execute("SELECT generate_series(1, 9)"))
        kept.extend([connection, cursor, named])

    async def misuse(tx: Any) -> None:
        await settle(tx.connection)
        connection, cursor, named = kept
        sends: list[Callable[[], Any]] = [
            lambda: connection.execute("SELECT 1"),
            lambda: cursor.execute("SELECT 1"),
            named.fetchone,
            lambda: connection.pgconn.finish(),  # noqa: PLW0108  the attribute itself is refused
        ]
        for send in sends:
            with pytest.raises(UsageError, match="now serves other calls"):
                await settle(send())
        await settle(connection.cancel_safe())  # cancels nothing, as on any closed connection
        await settle(connection.close())
        await settle(named.close())
        assert connection.closed
        tx.save(Run(name="saved"))

    await units.work(keep)
    await units.work(misuse)
    assert await settle(units.repository(Run).count()) == 1


ABOVE = {
    "a superuser": ("ALTER ROLE {} SUPERUSER", "a superuser"),
    "BYPASSRLS": ("ALTER ROLE {} BYPASSRLS", "BYPASSRLS"),
    "the auditor too": ("GRANT storekit_auditor TO {}", "storekit_auditor"),
    "all data": ("GRANT pg_read_all_data TO {}", "pg_read_all_data"),
    "a table": ("ALTER TABLE runs OWNER TO {}", "owns the table public.runs"),
}


@pytest.mark.parametrize("above", ABOVE)
async def test_a_joined_connection_above_the_wall_is_refused(
    shared: Database, units: Units, above: str
) -> None:
    """`within=` refuses a login from which tenants are not protected, names why, and changes nothing."""
    login = f"l{uuid4().hex}"
    statement, why = ABOVE[above]
    shared.ask(f"CREATE ROLE {login} LOGIN IN ROLE storekit_app")
    shared.ask(f"GRANT CONNECT ON DATABASE {shared.name} TO {login}")
    shared.ask(statement.format(login))
    kind: Any = psycopg.Connection if isinstance(units.store, Store) else psycopg.AsyncConnection
    own = await settle(kind.connect(shared.url(login)))
    try:
        await settle(own.execute("SELECT 1"))
        with pytest.raises(ConfigurationError, match=f"{login}.*{why}.*alone: storekit_app"):
            await units.work(lambda tx: tx.save(Run(name="x")), within=own)
        await settle(own.commit())
    finally:
        await settle(own.close())
        shared.ask("ALTER TABLE runs OWNER TO storekit_owner")
        shared.ask(f"REVOKE ALL ON DATABASE {shared.name} FROM {login}")
        shared.ask(f"DROP ROLE {login}")
    assert await settle(units.repository(Run).count()) == 0
