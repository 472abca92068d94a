"""The listed records: the same class in tables of very different length, each of one tenant."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import psycopg
from psycopg import sql

from storekit import Entity, Mutable, Settings, index, references
from tests.bench.records import ACTOR, TENANT

ROWS, QUICK_ROWS = (1_000, 100_000, 1_000_000), (1_000, 10_000, 100_000)
CHILDREN, LOST = 200, 20
"""The number of tickets of a queue, and the fixed number of lost ones."""


class State(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    LOST = "lost"


class Queue(Entity, Mutable, table="bench_queues"):
    name: str


class Ticket(Entity, Mutable):
    """Open tickets have an index of their own. Lost tickets have none, and are the oldest."""

    title: str
    team: str
    state: State
    queue_id: Annotated[UUID, references(Queue)]


_INDEXES = [
    index("-created_on"),
    index("team", "-created_on"),
    index("-created_on", where={"state": State.OPEN}),
]


class Few(Ticket, table="bench_tickets_few", indexes=_INDEXES):
    pass


class More(Ticket, table="bench_tickets_more", indexes=_INDEXES):
    pass


class Most(Ticket, table="bench_tickets_most", indexes=_INDEXES):
    pass


CLASSES: tuple[type[Ticket], ...] = (Few, More, Most)
_ALL: tuple[type[Entity], ...] = (Queue, *CLASSES)

_BARE = """
ALTER TABLE {table} SET (autovacuum_enabled = off);
ALTER TABLE {table} DISABLE TRIGGER USER, DISABLE ROW LEVEL SECURITY;
"""
_MANAGED = "ALTER TABLE {table} ENABLE TRIGGER USER, ENABLE ROW LEVEL SECURITY"
_QUEUES = """
INSERT INTO {table} (tenant_id, ref_id, created_by, name)
SELECT {tenant}, '01' || lpad(i::text, 24, '0'), {actor}, 'queue ' || i FROM generate_series(0, {last}) i
"""
_TICKETS = """
ALTER TABLE {table} SET UNLOGGED;
INSERT INTO {table} (tenant_id, id, ref_id, created_on, created_by, title, team, state, queue_id)
SELECT {tenant}, lpad(i::text, 32, '0')::uuid, '01' || lpad(i::text, 24, '0'),
    timestamptz '2026-01-01 UTC' + i * interval '1 second', {actor}, 'Ticket ' || i, 'team ' || i % 10,
    (CASE WHEN i <= {lost} THEN 'lost' WHEN i % 2 = 0 THEN 'closed' ELSE 'open' END)::{state}, q.id
FROM generate_series(1, {rows}) i
JOIN bench_queues q ON q.tenant_id = {tenant} AND q.ref_id = '01' || lpad((i % {queues})::text, 24, '0')
"""
_LATER = """
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index WHERE indrelid = {name}::regclass AND NOT indisunique
UNION ALL
SELECT format('ALTER TABLE {table} DROP CONSTRAINT %I', conname),
    format('ALTER TABLE {table} ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conrelid = {name}::regclass AND contype = 'f'
"""


def fill(settings: Settings, counts: Sequence[int]) -> None:
    """Insert the rows by SQL, as their owner, without ANALYZE."""
    with _owner(settings) as connection:
        for entity in _ALL:
            _run(connection, _BARE, entity)
        _run(connection, _QUEUES, Queue, last=max(counts) // CHILDREN - 1)
        for entity, rows in zip(CLASSES, counts, strict=True):
            _fill(connection, entity, rows)
        for entity in _ALL:
            _run(connection, _MANAGED, entity)


def _fill(connection: psycopg.Connection[Any], entity: type[Ticket], rows: int) -> None:
    """Fill a table before its indexes exist: creating them at the end takes a fraction of the time."""
    name = entity.storekit_table.name
    state, queues = sql.Identifier(f"{name}_state"), rows // CHILDREN
    later = _run(connection, _LATER, entity, name=name).fetchall()
    for drop, _ in later:
        connection.execute(drop)
    _run(connection, _TICKETS, entity, state=state, rows=rows, lost=LOST, queues=queues)
    for _, make in later:
        connection.execute(make)


def analyze(settings: Settings) -> None:
    """Run ANALYZE on all tables."""
    with _owner(settings) as connection:
        for entity in _ALL:
            _run(connection, "ANALYZE {table}", entity)


def _owner(settings: Settings) -> psycopg.Connection[Any]:
    assert settings.postgres_admin_url is not None
    connection = psycopg.connect(settings.postgres_admin_url.get_secret_value())
    connection.execute("SET ROLE storekit_owner")
    return connection


def _run(
    connection: psycopg.Connection[Any], text: str, entity: type[Entity], **values: Any
) -> psycopg.Cursor[Any]:
    table = sql.Identifier(entity.storekit_table.name)
    return connection.execute(sql.SQL(text).format(table=table, tenant=TENANT, actor=ACTOR, **values))
