"""The PostgreSQL server of an embedded stack."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storekit.embedded import stale_postmaster
from storekit.embedded.directory import Directory
from storekit.embedded.identity import Identity
from storekit.embedded.server import PROBE_TIMEOUT, Command, Runner, disk_full
from storekit.errors import ConfigurationError
from storekit.ports.libpq import LINK, NEWER, SESSION

if TYPE_CHECKING:
    from psycopg import Connection

DATABASE = "storekit"
SUPERUSER = "postgres"
ADMIN, APP, WORKER = "storekit_admin", "storekit_app_login", "storekit_worker_login"
REPORTER = "storekit_reporter_login"
LOGINS = {
    ADMIN: "LOGIN CREATEROLE",
    APP: "LOGIN",
    WORKER: "LOGIN",
    "storekit_auditor_login": "LOGIN",
    REPORTER: "LOGIN",
}
"""Each login ending in _login is a member of the role with the name before it, to which migrations grant
privileges."""
_LOGIN = "_login"

# fsync and full_page_writes stay on, so that committed data is kept even after kill -9. wal_level stays at
# `replica`, the default: `minimal` would rule out backups and standbys that a user may want to try.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "io_method": "sync",
    "jit": "off",
    # One iteration in place of 4096: a connection costs its client 0.4 ms of CPU time, not 2.4 ms. Iterations
    # protect passwords that can be guessed; these are 24 random bytes.
    "scram_iterations": "1",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """The server, its database and its logins."""

    name = "postgres"
    purposes: Sequence[str] = ("postgres",)

    def __init__(
        self, directory: Directory, programs: Path, identity: Identity, secrets: Mapping[str, str]
    ) -> None:
        self._directory = directory
        self._programs = programs
        self._identity = identity
        self._secrets = secrets
        self._data = directory.path / "postgres"

    def prepare(self, runner: Runner) -> None:
        """Create the data directory under another name and rename it, so that it is complete or absent."""
        for left in self._directory.path.glob("postgres.new*"):
            shutil.rmtree(left, ignore_errors=True)
        if self._data.exists():
            stale_postmaster.clear(self._data)  # the server may have been killed
            self._identity.take_ownership(self._data)
            return
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new", dir=self._directory.path))
        data = fresh / "data"
        data.mkdir()
        with open(os.open(fresh / "password", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self._secrets[SUPERUSER])
        self._identity.take_ownership(fresh)
        self._initdb(data, fresh / "password")
        data.rename(self._data)
        shutil.rmtree(fresh)

    def _initdb(self, data: Path, password: Path) -> None:
        argv = [
            *(str(self._programs / "initdb"), "-D", str(data), "-U", SUPERUSER, f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ]
        result = subprocess.run(  # noqa: S603  the wheel's program
            self._identity.command(argv, parent=os.getpid()),
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            capture_output=True,
            text=True,
        )
        if "o space left on device" in result.stderr:
            raise disk_full(self._directory.path)
        if result.returncode:
            raise ConfigurationError(
                f"initdb failed in {self._directory.path}: {result.stderr.strip()[-500:]}"
            )

    def command(self, ports: Mapping[str, int]) -> Command:
        """Return the command for a server on loopback. SIGINT stops it without waiting for its clients."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        argv = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(ports["postgres"])]
        return Command([*argv, *settings], Path("/"), signal.SIGINT, self._identity)

    def is_ready(self, ports: Mapping[str, int]) -> bool:
        """Log in, and create the database and the logins if missing."""
        import psycopg

        try:
            with psycopg.connect(
                host="127.0.0.1",
                port=ports["postgres"],
                user=SUPERUSER,
                password=self._secrets[SUPERUSER],
                dbname="postgres",
                connect_timeout=PROBE_TIMEOUT,
                autocommit=True,
                **_link(),
            ) as connection:
                self._create_missing(connection)
        except psycopg.OperationalError as error:
            if "definition of service" in str(error):
                why = "the environment variable PGSERVICE names a service that is not defined; unset it"
                raise ConfigurationError(why) from error
            if re.search(r'parameter "(TimeZone|DateStyle|geqo)"', str(error)):
                why = f"postgres does not accept the value of one of {', '.join(SESSION)} in the environment"
                raise ConfigurationError(f"{why}; unset it") from error
            # The server runs with LC_ALL=C, so its messages are in English.
            if "authentication failed" in str(error):
                raise _refused(
                    self._directory, "secrets.json does not match the passwords of its data"
                ) from error
            return False
        except psycopg.Error as error:
            raise _refused(self._directory, str(error)) from error
        return True

    def _create_missing(self, connection: Connection[Any]) -> None:
        from psycopg import sql

        there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for login, rights in LOGINS.items():
            if login not in there:
                # Send a SCRAM verifier to the server: a password in the statement could be written to its
                # log.
                verifier = connection.pgconn.encrypt_password(
                    self._secrets[login].encode(), login.encode(), b"scram-sha-256"
                )
                statement = sql.SQL("CREATE ROLE {} {} PASSWORD {}")
                connection.execute(
                    statement.format(sql.Identifier(login), sql.SQL(rights), sql.Literal(verifier.decode()))
                )
        _join_groups(connection, there)
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            statement = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(statement.format(sql.Identifier(DATABASE), sql.Identifier(ADMIN)))


def _link() -> dict[str, Any]:
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    return {**LINK, **{name: value for name, value in NEWER.items() if name in known}}


def _join_groups(connection: Connection[Any], there: set[str]) -> None:
    """Create the group roles as the admin login, and grant them to the logins.

    From PostgreSQL 16 on only the role that created a role may grant it, and migrations run as the admin.
    """
    from psycopg import sql

    # Migrations let the worker see when the transactions of others began.
    to_admin = sql.SQL("GRANT pg_read_all_stats TO {} WITH ADMIN OPTION").format(sql.Identifier(ADMIN))
    connection.execute(to_admin)
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ADMIN)))
    for login in LOGINS:
        group = login.removesuffix(_LOGIN)
        if group == login:
            continue
        if group not in there:
            make = sql.SQL("CREATE ROLE {} NOLOGIN NOSUPERUSER NOBYPASSRLS")
            connection.execute(make.format(sql.Identifier(group)))
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(login)))
    connection.execute("RESET ROLE")


def _refused(directory: Directory, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"cannot set up postgres in {directory.path}: {why}; see {directory.log('postgres')}"
    )
