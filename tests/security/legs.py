"""Records with a field for every kind of input, and the legs on which hostile input is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import psycopg
from pydantic import SecretStr

from storekit import (
    AsyncStore,
    Blob,
    Entity,
    Settings,
    SoftDelete,
    Store,
    StorekitError,
    blob,
    document,
    index,
    moves,
)
from storekit.bridge import settle
from storekit.drivers.postgres.admin.runner import grant
from storekit.schema.ddl import render
from storekit.testing.stores import Fetched
from storekit.trace import listen
from tests.security.isolation_tables import MINE, THEIRS
from tests.support.adapters import repository
from tests.support.entities import Columns, Login, Status
from tests.support.postgres import MEMBERS, Database, fresh_database, write_line

T = TypeVar("T")


class Ticket(
    Columns,
    SoftDelete,
    table="tickets",
    indexes=[index("stage", "created_on"), index("moment", where={"stage": Status.DONE})],
):
    """Each type of column, a state machine, a document and a blob. The hostile texts use the name `title`."""

    title: str
    stage: Annotated[Status, moves({Status.RUNNING: [Status.DONE], Status.DONE: [Status.RUNNING]})] = (
        Status.RUNNING
    )
    payload: Annotated[dict[str, Any] | None, document(collection="ticket_payloads")] = None
    file: Annotated[Blob | None, blob(media_type="text/plain")] = None


ENTITIES = (Ticket, Login)
SENTINEL = """
CREATE TABLE sentinel (text text);
INSERT INTO sentinel VALUES ('intact');
GRANT ALL ON sentinel TO storekit_app, storekit_reporter;
"""
_STATE = """
SELECT 'sentinel', count(*), string_agg(text, ',') FROM sentinel
UNION ALL SELECT relname, 1, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT proname, count(*), string_agg(md5(prosrc), ',' ORDER BY oid) FROM pg_proc
    WHERE pronamespace IN ('public'::regnamespace, 'storekit'::regnamespace, 'report'::regnamespace)
    GROUP BY proname
UNION ALL SELECT rolname, 1, rolsuper::text FROM pg_roles
UNION ALL SELECT 'policies', count(*), string_agg(polname, ',' ORDER BY oid) FROM pg_policy
UNION ALL SELECT 'settings', count(*), string_agg(setconfig::text, ',') FROM pg_db_role_setting
UNION ALL SELECT t.ref_id, 1, t::text FROM tickets AS t WHERE tenant_id = %(theirs)s
UNION ALL SELECT p.part_id::text, 1, p::text FROM storekit.part AS p WHERE tenant_id = %(theirs)s
UNION ALL SELECT w.write_id::text, 1, w::text FROM storekit.write AS w WHERE tenant_id = %(theirs)s
UNION ALL SELECT e.event_id::text, 1, e::text FROM storekit.event AS e WHERE tenant_id = %(theirs)s
"""


@contextmanager
def hostile_database(cluster: str, directory: Path) -> Iterator[Database]:
    """Create a database with the tables and a sentinel table that the app has the right to drop."""
    with fresh_database(cluster) as database:
        reporter = (
            "DO $$ BEGIN IF to_regrole('reporter') IS NULL THEN CREATE ROLE reporter LOGIN; END IF; END $$"
        )
        database.ask(reporter)
        line = write_line(directory / "app", "app", *(render(entity) for entity in ENTITIES), SENTINEL)
        with Store.open(Settings(postgres_admin_url=SecretStr(database.url("admin")))) as store:
            store.migrate([line])
        grant(database.url("admin"), MEMBERS | {"storekit_reporter": ["reporter"]})
        yield database


def state(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Return all that hostile input must not change: sentinel table, catalogue, rows of another tenant."""
    return sorted(connection.execute(_STATE, {"theirs": THEIRS}).fetchall(), key=str)


@dataclass
class Leg:
    """A store of one API (sync or async), in memory or on servers."""

    store: Store | AsyncStore
    browse: Callable[[str], Fetched]
    servers: bool
    theirs: str = ""
    """The ref_id of another tenant's ticket."""

    def some(self, cases: Sequence[T]) -> Sequence[T]:
        """Return all cases; for the async API, which runs the same flows, every fourth case."""
        return cases[::4] if isinstance(self.store, AsyncStore) else cases

    def tickets(self, tenant: UUID = MINE, actor: str = "user:mallory") -> Any:
        return self.of(Ticket, tenant, actor)

    def of(self, entity: type[Entity], tenant: UUID = MINE, actor: str = "user:mallory") -> Any:
        return repository(self.store, tenant, entity, actor)

    async def saved_by_other_tenant(self) -> Leg:
        """Save a ticket of the other tenant."""
        made = Ticket(title="theirs", payload={"a": "theirs"}, file=Blob("theirs", filename="a.txt"))
        self.theirs = (await settle(self.tickets(THEIRS).save(made))).ref_id
        return self

    async def check(self) -> None:
        """Check that the other tenant's ticket is unchanged."""
        tickets = self.tickets(THEIRS)
        found = await settle(tickets.get(self.theirs, load=["payload"]))
        assert (found.title, found.payload, found.version) == ("theirs", {"a": "theirs"}, 1)
        assert await settle(tickets.read(self.theirs, "file")) == b"theirs"


async def outcome(call: Callable[[], Any], given: object) -> Any:
    """Return the result of a call, or the StorekitError that it raised. Other exceptions fail the test."""
    try:
        return await settle(call())
    except StorekitError as error:
        return error
    except BaseException as error:
        error.add_note(f"given {given!r:.200}")
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Fail if anything is sent; reading a blob to hash it is local work and allowed."""
    steps: set[str] = set()
    with listen(lambda name, phase: steps.add(name)):
        yield
    assert steps <= {"local.measure"}
