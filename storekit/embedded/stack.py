"""Three servers in one directory, which run as long as at least one process owns them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from pydantic import SecretStr

from storekit.embedded import identity, postgres, seaweedfs, secantus, wheels
from storekit.embedded.credentials import credentials
from storekit.embedded.directory import Directory
from storekit.embedded.owner import OwnerConnection, connect_if_running, connect_or_start, wait_for_end
from storekit.embedded.ports import Ports
from storekit.embedded.server import Runner, Server, translated
from storekit.errors import ConfigurationError
from storekit.ports.libpq import LINK
from storekit.settings import Settings

_BUCKET = "storekit"
_SERVERS = {"postgres": "postgres", "s3": "s3.port", "mongo": "mongo"}
"""The servers, and the purpose of the port that clients connect to."""
_CREDENTIALS = (
    *(postgres.SUPERUSER, *postgres.LOGINS),
    *(seaweedfs.ACCESS_KEY, seaweedfs.SECRET_KEY),
    *secantus.USERS,
)
_START_LOCK_TIMEOUT = 180.0
"""Seconds to wait while another process starts the same stack: three times the limit of one server.

The servers start in parallel, but a new MongoDB server starts twice, and Postgres first runs initdb.
"""


@dataclass(frozen=True)
class ServerStatus:
    """The current state of one server."""

    name: str
    pid: int | None
    port: int | None
    running: bool


class Stack:
    """PostgreSQL, an S3 server and a MongoDB server, owned by this process until it closes them or ends.

    A stack can have several owners. The servers stop when the last of these processes has closed the stack or
    ended, even by kill -9. The data is kept.

    Example:
        with Stack.start(Path("data")) as stack:
            settings = stack.settings()
    """

    def __init__(self, stack_directory: Directory, connection: OwnerConnection) -> None:
        self._directory = stack_directory
        self._connection = connection

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Own the stack of a directory, and start the servers that are not running.

        Blocks until they are ready, which takes a few seconds for a new stack.

        Raises:
            ConfigurationError: a wheel is not installed, the directory or disk cannot be used, or a server
                did not start.
            Unavailable: the supervisor or another process took too long; start again.
        """
        return cls._start(Path(directory), identity.ways())

    @classmethod
    def _start(cls, directory: Path, ways: Sequence[identity.Way]) -> Self:
        with translated(directory):
            stack_directory = Directory.claim(directory)
            connection = connect_or_start(stack_directory)
            try:
                if _not_ready(
                    connection
                ):  # checked without the lock, so that using a running stack does not have to wait
                    with stack_directory.start_lock(_START_LOCK_TIMEOUT):
                        _start_missing(stack_directory, connection, ways)
            except BaseException:
                connection.close()
                raise
            return cls(stack_directory, connection)

    def settings(self) -> Settings:
        """Return settings with the addresses and credentials of the servers."""
        return _settings(self._directory)

    def close(self) -> None:
        """Stop owning the stack. May be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def up(directory: Path) -> list[ServerStatus]:
    """Start a stack that keeps running until `down`, also after this process has ended."""
    with Stack.start(directory) as stack, translated(directory):
        stack._connection.request("keep", kept=True)  # noqa: SLF001  Stack is of this module
        return status(directory)


def down(directory: Path) -> int:
    """Undo `up` and return how many processes still own the stack; if 0, its servers have ended."""
    with translated(directory):
        stack_directory = Directory.existing(directory)
        connection = connect_if_running(stack_directory)
        if connection is None:
            return 0
        connection.request("keep", kept=False)
        others: int = connection.request("status")["owners"] - 1
        connection.close()
        if not others:
            wait_for_end(stack_directory)
        return others


def status(directory: Path) -> list[ServerStatus]:
    """Return the state of each server. Starts nothing."""
    with translated(directory):
        stack_directory = Directory.existing(directory)
        connection = connect_if_running(stack_directory)
        found: dict[str, Any] = {}
        if connection:
            found = connection.request("status")["servers"]
            connection.close()
        ports = Ports(stack_directory)
        return [
            _status(name, found.get(name), ports.known(name).get(port)) for name, port in _SERVERS.items()
        ]


def settings(directory: Path) -> Settings:
    """Return the settings of a running stack. Starts nothing.

    Raises:
        ConfigurationError: a server is not running.
    """
    require(directory)
    down = [server.name for server in status(directory) if not server.running]
    if down:
        start = f"storekit up --dir {shlex.quote(str(directory))}"
        raise ConfigurationError(
            f"servers of the stack in {directory} are not running: {', '.join(down)}; run: {start}"
        )
    with translated(directory):
        return _settings(Directory.existing(directory))


def require(directory: Path) -> None:
    """Check that a directory is a stack, running or not.

    Raises:
        ConfigurationError: it is not a stack.
    """
    with translated(directory):
        found = Directory.existing(directory)
    if not found.is_stack:
        raise ConfigurationError(f"{directory} is not a stack; pass the directory of a stack with --dir")


def _settings(stack_directory: Directory) -> Settings:
    secrets = credentials(stack_directory, ())
    ports = {name: Ports(stack_directory).known(name)[port] for name, port in _SERVERS.items()}

    def login(user: str) -> SecretStr:
        at = f"127.0.0.1:{ports['postgres']}/{postgres.DATABASE}"
        return SecretStr(f"postgresql://{user}:{secrets[user]}@{at}?{urlencode(LINK)}")

    at = f"127.0.0.1:{ports['mongo']}/{secantus.DATABASE}?authSource=admin&directConnection=true"
    return Settings.model_validate(
        {
            "postgres_url": login(postgres.APP),
            "postgres_admin_url": login(postgres.ADMIN),
            "postgres_worker_url": login(postgres.WORKER),
            "postgres_reporter_url": login(postgres.REPORTER),
            "mongo_url": SecretStr(f"mongodb://{secantus.USER}:{secrets[secantus.USER]}@{at}"),
            "mongo_database": secantus.DATABASE,
            "s3_endpoint_url": f"http://127.0.0.1:{ports['s3']}",
            "s3_bucket": _BUCKET,
            "s3_region": seaweedfs.REGION,
            "s3_access_key": secrets[seaweedfs.ACCESS_KEY],
            "s3_secret_key": SecretStr(secrets[seaweedfs.SECRET_KEY]),
        }
    )


def _status(name: str, found: dict[str, Any] | None, port: int | None) -> ServerStatus:
    running = found is not None and found["code"] is None
    return ServerStatus(name, found["pid"] if found and running else None, port, running)


def _not_ready(connection: OwnerConnection) -> set[str]:
    found = connection.request("status")["servers"]
    return {
        name
        for name in _SERVERS
        if not (name in found and found[name]["ready"] and found[name]["code"] is None)
    }


def _start_missing(
    stack_directory: Directory, connection: OwnerConnection, ways: Sequence[identity.Way]
) -> None:
    wanted = _not_ready(connection)  # again, under the lock: another process may have started them meanwhile
    secrets = credentials(stack_directory, _CREDENTIALS)
    run_as, programs = identity.find(stack_directory, wheels.postgres_package(), ways)
    servers: list[Server] = [
        postgres.Postgres(stack_directory, programs, run_as, secrets),
        seaweedfs.SeaweedFS(stack_directory, secrets),
        secantus.Secantus(stack_directory, secrets),
    ]
    ports = Ports(stack_directory, seaweedfs.is_usable)
    runner = Runner(stack_directory, connection, ports, secrets)
    with ThreadPoolExecutor(len(servers)) as threads:
        starts = [threads.submit(runner.start, each) for each in servers if each.name in wanted]
        try:
            for each in starts:
                each.result()
        except BaseException:
            # Make the next request of the other threads fail, so that their servers are not waited for.
            connection.close()
            raise
