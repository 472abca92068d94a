"""The database of the tenant matrix: storekit's schema, tables of every kind, and rows of two tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.schema.lines import core, shipped
from tests.support.postgres import (
    BASE,
    MEMBERS,
    MUTABLE,
    PARTS,
    SOFT_DELETE,
    Database,
    copy_database,
    fresh_database,
    write_line,
)

MINE, THEIRS, NIL = UUID(int=0xA << 64), UUID(int=0xB << 64), UUID(int=0)
LOGINS = ("app", "worker", "auditor", "reporter", "stranger")

TABLES = f"""
CREATE SCHEMA sales;
CREATE TABLE sales.plans ({BASE}{MUTABLE}, name text NOT NULL, UNIQUE (id));
SELECT storekit.manage('sales.plans', 'global');

CREATE TABLE sales.tenants ({BASE}{MUTABLE}, name text, plan_id uuid REFERENCES sales.plans (id));
SELECT storekit.manage('sales.tenants', 'self');

CREATE TABLE sales.sessions ({BASE}{MUTABLE}{SOFT_DELETE}, token_digest text NOT NULL, user_name text);
CREATE INDEX ON sales.sessions (token_digest);
INSERT INTO storekit.field (table_name, field, kind) VALUES ('sales.sessions', 'token_digest', 'column');
SELECT storekit.manage('sales.sessions');

CREATE TYPE sales.stage AS ENUM ('found', 'won', 'lost');
CREATE TABLE sales.chances ({BASE}{MUTABLE}{SOFT_DELETE},
    external_id text NOT NULL, title text NOT NULL, stage sales.stage NOT NULL DEFAULT 'found', run_id uuid,
    memo_ref uuid, payload_ref uuid, payload_expired_on timestamptz{PARTS},
    UNIQUE (tenant_id, external_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES public.activity_runs (tenant_id, id) ON DELETE CASCADE);
INSERT INTO storekit.field (table_name, field, kind, ttl, collection) VALUES
    ('sales.chances', 'memo', 'blob', NULL, NULL),
    ('sales.chances', 'payload', 'document', interval '90 days', 'chance_payloads');
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('sales.chances', 'stage', '', 'found'), ('sales.chances', 'stage', 'found', 'won');
SELECT storekit.manage('sales.chances');

CREATE TABLE sales.remarks ({BASE}, chance_id uuid NOT NULL, note text,
    FOREIGN KEY (tenant_id, chance_id) REFERENCES sales.chances (tenant_id, id));
SELECT storekit.manage('sales.remarks');

CREATE VIEW sales.open_chances WITH (security_invoker = true) AS
    SELECT title, external_id FROM sales.chances WHERE deleted_on IS NULL;
GRANT SELECT ON sales.open_chances TO storekit_app;
CREATE MATERIALIZED VIEW sales.chance_counts AS
    SELECT tenant_id, count(*) AS chances FROM sales.chances GROUP BY tenant_id WITH NO DATA;

CREATE TABLE storekit.domain_event_0002 PARTITION OF storekit.domain_event
    FOR VALUES FROM (10000001) TO (20000001);
ALTER TABLE storekit.domain_event_0002 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

SET LOCAL ROLE storekit_reports;
CREATE VIEW report.chances AS SELECT tenant_id, title FROM sales.chances;
SET LOCAL ROLE storekit_owner;
"""

_WRITE = """
INSERT INTO storekit.write (
    tenant_id, write_id, state, actor, finished_on, idempotency_key, fingerprint)
VALUES (%(tenant)s, %(write)s, 'committed', 'seed', storekit.now(), %(write)s::text, '\\x00')
"""
_PART = """
INSERT INTO storekit.part (
    tenant_id, part_id, write_id, state, entity, ref_id, field, store, key, version_id, size, sha256,
    sign_until)
SELECT %(tenant)s, %(part)s, %(write)s, 'committed', f.table_name, %(ref_id)s, f.field,
       CASE f.kind WHEN 'blob' THEN 's3' ELSE 'mongo' END,
       coalesce(f.collection, concat_ws(
           '/', %(tenant)s::uuid, f.table_name, %(ref_id)s::text, f.field, %(part)s::uuid)),
       'v1', 2, sha256('hi'), storekit.now()
FROM storekit.field AS f WHERE f.table_name = %(entity)s AND f.field = %(field)s
"""
_REFERENCES = """
SELECT a.attname, a.attnotnull, f.attname, c.confrelid::regclass::text
FROM pg_constraint AS c
     JOIN unnest(c.conkey, c.confkey) AS k (own, other) ON true
     JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.own
     JOIN pg_attribute AS f ON f.attrelid = c.confrelid AND f.attnum = k.other
WHERE c.conrelid = %s::regclass AND c.contype = 'f' AND a.attname NOT IN ('tenant_id', 'parts_live')
"""
_TO_FILL = """
SELECT a.attname, format_type(a.atttypid, NULL),
       (SELECT enumlabel FROM pg_enum WHERE enumtypid = a.atttypid ORDER BY enumsortorder LIMIT 1)
FROM pg_attribute AS a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  AND NOT a.atthasdef AND (a.attnotnull OR a.atttypid = 'text'::regtype)
"""
# Each partition gets events of both tenants.
_SEQUENCED = """
INSERT INTO storekit.domain_event (pos, tenant_id, seq, id, event_id, entity, ref_id, version, type, before,
    after, actor, login, write_id, occurred_on, sequenced_on, parts, digest, prev_hash, hash)
SELECT row_number() OVER () + 10000000 * (n % 2), tenant_id, n, id, event_id, entity, ref_id, version, type,
       before, after, actor, login, write_id, occurred_on, occurred_on, '{}', '', '', ''
FROM (SELECT *, row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS n FROM storekit.event_inbox) AS e
"""


@contextmanager
def matrix_database(cluster: str, directory: Path) -> Iterator[Database]:
    """Create the database, with rows of both tenants in every table that stores rows of tenants."""
    with fresh_database(cluster) as database:
        for login in LOGINS:
            database.ask(
                f"DO $$ BEGIN IF to_regrole('{login}') IS NULL THEN CREATE ROLE {login} LOGIN; END IF; END $$"
            )
        lines = [core(), shipped("agency"), write_line(directory / "sales", "sales", TABLES)]
        migrate(database.url("admin"), lines)
        grant(database.url("admin"), MEMBERS | {"storekit_reporter": ["reporter"]})
        seed(database)
        yield database


@contextmanager
def scratch_copy(database: Database) -> Iterator[Database]:
    """Copy the database, so that a test can plant a defect in it."""
    copy = Database(database.super_url, f"t{uuid4().hex}")
    with psycopg.connect(database.super_url, autocommit=True) as connection:
        copy_database(connection, database.name, copy.name)
        yield copy
        connection.execute(f"DROP DATABASE {copy.name} WITH (FORCE)".encode())


def seed(database: Database) -> None:
    """Insert a row for each tenant into every managed table, whatever its columns."""
    with database.connect("postgres") as connection:
        managed = connection.execute(
            "SELECT entity, schema_name, table_name, scope FROM storekit.managed"
        ).fetchall()
        for tenant in (NIL, MINE, THEIRS):
            waiting = [row for row in managed if (row[3] == "global") == (tenant == NIL)]
            while waiting:
                later = [row for row in waiting if not _Row(connection, tenant, *row).insert()]
                assert len(later) < len(waiting), f"no row can be the first of {later}"
                waiting = later
        connection.execute(_SEQUENCED)
        connection.execute(
            "INSERT INTO storekit.tenant_head VALUES (%s, 1, '\\x00'), (%s, 1, '\\x00')", [MINE, THEIRS]
        )
        with connection.transaction():  # the view stores what its owner saw: rows of all tenants
            connection.execute("ALTER TABLE sales.chances NO FORCE ROW LEVEL SECURITY")
            connection.execute("REFRESH MATERIALIZED VIEW sales.chance_counts")
            connection.execute("ALTER TABLE sales.chances FORCE ROW LEVEL SECURITY")


class _Row:
    """One row of a table, built from the catalogue's description of its columns."""

    def __init__(
        self, connection: psycopg.Connection, tenant: UUID, entity: str, schema: str, name: str, scope: str
    ) -> None:
        self._connection, self._tenant, self._entity = connection, tenant, entity
        self._table = f'"{schema}"."{name}"'
        (self._ref_id,) = connection.execute("SELECT storekit.new_ref_id()").fetchone() or ()
        own = tenant if scope == "self" else uuid4()
        self._values: dict[str, object] = {"tenant_id": tenant, "ref_id": self._ref_id, "id": own}

    def insert(self) -> bool:
        """Insert the row, unless a row that it must refer to does not exist yet."""
        if not self._refer():
            return False
        self._fill()
        names, holes = ", ".join(f'"{n}"' for n in self._values), ", ".join(["%s"] * len(self._values))
        statement = f"INSERT INTO {self._table} ({names}) VALUES ({holes})"
        self._connection.execute(statement.encode(), list(self._values.values()))
        return True

    def _refer(self) -> bool:
        keys = self._connection.execute(_REFERENCES, [self._table]).fetchall()
        for column, required, target_column, target in keys:
            found = self._part(column) if target == "storekit.part" else self._first(target, target_column)
            if found is None and required:
                return False
            self._values[column] = found
        return True

    def _first(self, target: str, column: str) -> object | None:
        query = f'SELECT "{column}" FROM {target} WHERE tenant_id IN (%s, %s) LIMIT 1'
        row = self._connection.execute(query.encode(), [self._tenant, NIL]).fetchone()
        return row[0] if row else None

    def _part(self, column: str) -> UUID:
        """Commit a part for the column, with a write of its own."""
        facts = {"tenant": self._tenant, "write": uuid4(), "part": uuid4(), "ref_id": self._ref_id}
        self._connection.execute(_WRITE, facts)
        field = column.removesuffix("_ref")
        self._connection.execute(_PART, {**facts, "entity": self._entity, "field": field})
        part: UUID = facts["part"]
        return part

    def _fill(self) -> None:
        """Set every other required column to a value of its type."""
        columns = self._connection.execute(_TO_FILL, [self._table]).fetchall()
        made = {
            "text": f"of {self._tenant}",
            "bigint": 1,
            "numeric": 1,
            "double precision": 1,
            "boolean": True,
        }
        for name, kind, label in columns:
            if name not in self._values:
                self._values[name] = (
                    label or made.get(kind) or {"jsonb": "{}", "uuid": uuid4()}.get(kind, "2026-01-01")
                )
