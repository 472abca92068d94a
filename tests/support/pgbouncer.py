"""PgBouncer in transaction mode, where many clients share a few sessions of the server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from storekit import Settings
from tests.support.postgres import as_nobody, free_port, wait_until_ready

PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
LOGINS = ("postgres_url", "postgres_worker_url", "postgres_reporter_url")
"""Without the admin: a migration holds a lock of its session."""

_INI = """\
[databases]
{dbname} = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 500
"""


@contextmanager
def behind_pgbouncer(
    settings: Settings, sessions: int = 3, logins: Sequence[str] = LOGINS
) -> Iterator[Settings]:
    """Run PgBouncer before a store's Postgres, and yield settings that connect through it."""
    known = {name: _read(settings, name) for name in logins if getattr(settings, name)}
    own = free_port()
    through = {
        name: make_conninfo("", **{**each, "host": "127.0.0.1", "port": str(own)})
        for name, each in known.items()
    }
    with tempfile.TemporaryDirectory(prefix="storekit-pgbouncer-") as directory:
        ini, users = Path(directory, "pgbouncer.ini"), Path(directory, "users")
        first = known[logins[0]]
        ini.write_text(_INI.format(**first, own=own, users=users, sessions=sessions))
        users.touch(0o600)
        users.write_text("".join(f'"{each["user"]}" "{each["password"]}"\n' for each in known.values()))
        with _running(ini, as_nobody(Path(directory), ini, users), through[logins[0]]):
            urls = {name: SecretStr(url) for name, url in through.items()}
            yield settings.model_copy(update={**urls, "prepare": False})


@contextmanager
def _running(ini: Path, who: dict[str, Any], url: str) -> Iterator[None]:
    assert PROGRAM is not None
    with ini.with_name("log").open("wb") as log:
        server = subprocess.Popen([PROGRAM, "-q", str(ini)], stderr=log, cwd="/", **who)
    try:
        wait_until_ready(url, server)
        yield
    finally:
        server.terminate()
        server.wait(20)


def _read(settings: Settings, name: str) -> dict[str, str]:
    url = getattr(settings, name).get_secret_value()
    # PgBouncer requires a password even if the server trusts its clients
    return {"password": token_hex(), **{key: str(value) for key, value in conninfo_to_dict(url).items()}}
