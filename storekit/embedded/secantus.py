"""SecantusDB as the MongoDB server of an embedded stack: a process of its own, never imported."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storekit.embedded import wheels
from storekit.embedded.directory import Home
from storekit.embedded.identity import PLAIN
from storekit.embedded.server import Command, Runner
from storekit.errors import ConfigurationError

if TYPE_CHECKING:
    from pymongo import MongoClient

DATABASE = "storekit"
USER = "mongo_storekit"
_ROOT = "mongo_root"
_ROLES: dict[str, list[Any]] = {
    USER: [{"role": "readWrite", "db": DATABASE}, {"role": "dbAdmin", "db": DATABASE}],
    _ROOT: ["root"],
}
USERS = tuple(_ROLES)
_CONFIGURATION = "mongo.toml"


class Secantus:
    """The server and its users."""

    name = "mongo"
    purposes: Sequence[str] = ("mongo",)

    def __init__(self, home: Home, secrets: Mapping[str, str]) -> None:
        wheels.require_secantus()
        self._home = home
        self._secrets = secrets
        self._data = home.path / "mongo"

    def prepare(self, runner: Runner) -> None:
        """Make users while it asks for none, in a directory that becomes the data when they are in it."""
        # Empty, but named: else the server obeys a file of its name in the home or in /etc.
        (self._home.path / _CONFIGURATION).touch(mode=0o600)
        if self._data.exists():
            return
        fresh = self._home.path / "mongo.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        # Ended by kill -9: every commit is synced, and an orderly end takes it two seconds.
        open_to_all = partial(_command, fresh, signal.SIGKILL)
        ports = runner.run(self.name, self.purposes, open_to_all, self.answers)
        self._make_users(ports["mongo"])
        runner.stop(self.name)
        fresh.rename(self._data)

    def _make_users(self, port: int) -> None:
        from pymongo.errors import PyMongoError

        try:
            with _client(port, 10.0) as client:
                for user, roles in _ROLES.items():
                    client.admin.command("createUser", user, pwd=self._secrets[user], roles=roles)
                users = {each["user"] for each in client.admin.command("usersInfo", 1)["users"]}
        except PyMongoError as error:
            raise ConfigurationError(
                f"no users could be made in the fresh MongoDB server ({type(error).__name__}); "
                f"see {self._home.log(self.name)}, then start again"
            ) from error
        if users != set(_ROLES):
            # For a moment the server was open to this machine.
            raise ConfigurationError(
                f"another process made users {sorted(users - set(_ROLES))} in the fresh MongoDB server; "
                "find out who, then start again"
            )

    def command(self, ports: Mapping[str, int]) -> Command:
        """Run with authentication, syncing each commit: the default loses acknowledged writes at kill -9."""
        return _command(self._data, signal.SIGTERM, ports, "--auth")

    def answers(self, ports: Mapping[str, int]) -> bool:
        """Have it greet as a MongoDB server does: what listens there may be a stranger."""
        from pymongo.errors import PyMongoError

        try:
            # First a look whether anything listens: pymongo waits half a second after it was refused.
            socket.create_connection(("127.0.0.1", ports["mongo"]), timeout=5).close()
            with _client(ports["mongo"], 2.0) as client:
                client.admin.command("hello")
        except (OSError, PyMongoError):
            return False
        return True


def _client(port: int, timeout: float) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient

    return MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverMonitoringMode="poll",
        timeoutMS=int(timeout * 1000),
    )


def _command(data: Path, stop: int, ports: Mapping[str, int], *flags: str) -> Command:
    argv = [
        *(sys.executable, "-P", "-m", "secantus", "--config", str(data.parent / _CONFIGURATION)),
        *("--host", "127.0.0.1", "--port", str(ports["mongo"]), "--storage-path", str(data)),
        # one insert of 4 MB, or of one document of 15, must not fill its cache: it would wait for itself
        *("--cache-size", "256M", "--sync-on-commit", "--log-level", "INFO", *flags),
    ]
    return Command(argv, data, stop, PLAIN)
