"""Three servers in one directory, alive as long as a process owns them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from storekit.embedded import identity, postgres, seaweedfs, secantus, wheels
from storekit.embedded.credentials import credentials
from storekit.embedded.directory import Home
from storekit.embedded.owner import Link, living, own, wait_for_end
from storekit.embedded.ports import Ports
from storekit.embedded.server import Runner, Server, translated
from storekit.errors import ConfigurationError
from storekit.settings import Settings

_BUCKET = "storekit"
_SERVERS = {"postgres": "postgres", "s3": "s3.port", "mongo": "mongo"}
"""Each server and the purpose of the port that clients use."""
_CREDENTIALS = (
    *(postgres.SUPERUSER, *postgres.LOGINS),
    *(seaweedfs.ACCESS_KEY, seaweedfs.SECRET_KEY),
    *secantus.USERS,
)
_TURN = 180.0
"""Seconds to wait while another process starts the same stack."""


@dataclass(frozen=True)
class ServerStatus:
    """One server of a stack, as it is now."""

    name: str
    pid: int | None
    port: int | None
    running: bool


class Stack:
    """PostgreSQL, an S3 server and a MongoDB server, owned by this process until it closes it or ends.

    Owners are processes. When the last one has gone, however it went, the servers end. The data stays.

        with Stack.start(Path("data")) as stack:
            settings = stack.settings()
    """

    def __init__(self, home: Home, link: Link) -> None:
        self._home = home
        self._link = link

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Own the stack of a directory, starting what does not run. Blocking: a fresh one takes seconds.

        Raises:
            ConfigurationError: a wheel, the directory, the disk or a server is not as it must be.
            Unavailable: something did not answer in time; start again.
        """
        return cls._start(Path(directory), identity.ways())

    @classmethod
    def _start(cls, directory: Path, ways: Sequence[identity.Way]) -> Self:
        with translated(directory):
            home = Home.claim(directory)
            link = own(home)
            try:
                if _not_ready(link):
                    with home.turn(_TURN):
                        _heal(home, link, ways)
            except BaseException:
                link.close()
                raise
            return cls(home, link)

    def settings(self) -> Settings:
        """Say where the servers are, and as whom to come."""
        return _settings(self._home)

    def close(self) -> None:
        """Cease to own the stack; may be called twice."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def up(directory: Path) -> list[ServerStatus]:
    """Start a stack that stays until `down`, though this process ends."""
    with Stack.start(directory) as stack, translated(directory):
        stack._link.ask("keep", kept=True)  # noqa: SLF001  one module, one idea
        return status(directory)


def down(directory: Path) -> int:
    """Take back `up`, and answer how many processes still own the stack; at 0 its servers have ended."""
    home = Home(Path(os.path.abspath(directory)))
    with translated(home.path):
        link = living(home)
        if link is None:
            return 0
        link.ask("keep", kept=False)
        others: int = link.ask("status")["owners"] - 1
        link.close()
        if not others:
            wait_for_end(home)
        return others


def status(directory: Path) -> list[ServerStatus]:
    """Look at a stack, starting nothing."""
    home = Home(Path(os.path.abspath(directory)))
    with translated(home.path):
        link = living(home)
        found: dict[str, Any] = {}
        if link:
            found = link.ask("status")["servers"]
            link.close()
        ports = Ports(home)
        return [
            _status(name, found.get(name), ports.known(name).get(port)) for name, port in _SERVERS.items()
        ]


def settings(directory: Path) -> Settings:
    """Say where the servers of a running stack are, starting nothing.

    Raises:
        ConfigurationError: a server does not run.
    """
    require(directory)
    down = [server.name for server in status(directory) if not server.running]
    if down:
        start = f"storekit up --dir {shlex.quote(str(directory))}"
        raise ConfigurationError(f"of the stack in {directory} {', '.join(down)} is down; run: {start}")
    return _settings(Home(Path(os.path.abspath(directory))))


def require(directory: Path) -> None:
    """Make sure that there is a stack in a directory, running or not.

    Raises:
        ConfigurationError: there is none.
    """
    if not Home(Path(os.path.abspath(directory))).taken:
        raise ConfigurationError(f"there is no stack in {directory}; name its directory with --dir")


def _settings(home: Home) -> Settings:
    secrets = credentials(home, ())
    ports = {name: Ports(home).known(name)[port] for name, port in _SERVERS.items()}

    def login(user: str) -> SecretStr:
        at = f"127.0.0.1:{ports['postgres']}/{postgres.DATABASE}"
        return SecretStr(f"postgresql://{user}:{secrets[user]}@{at}")

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


def _not_ready(link: Link) -> set[str]:
    found = link.ask("status")["servers"]
    return {
        name
        for name in _SERVERS
        if not (name in found and found[name]["ready"] and found[name]["code"] is None)
    }


def _heal(home: Home, link: Link, ways: Sequence[identity.Way]) -> None:
    wanted = _not_ready(link)
    secrets = credentials(home, _CREDENTIALS)
    run_as, programs = identity.find(home, wheels.postgres_package(), ways)
    servers: list[Server] = [
        postgres.Postgres(home, programs, run_as, secrets),
        seaweedfs.SeaweedFS(home, secrets),
        secantus.Secantus(home, secrets),
    ]
    runner = Runner(home, link, Ports(home), secrets)
    with ThreadPoolExecutor(len(servers)) as threads:
        starts = [threads.submit(runner.start, each) for each in servers if each.name in wanted]
        try:
            for each in starts:
                each.result()
        except BaseException:
            link.close()  # the other threads' next question fails, and nobody waits for them in vain
            raise
