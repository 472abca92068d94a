"""SecantusDB, the MongoDB server of an embedded stack. It runs as a process and is never imported."""

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
from storekit.embedded.certificate import certificate
from storekit.embedded.directory import Directory
from storekit.embedded.identity import PLAIN
from storekit.embedded.server import PROBE_TIMEOUT, Command, Runner
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

    def __init__(self, directory: Directory, secrets: Mapping[str, str]) -> None:
        wheels.require_secantus()
        self._directory = directory
        self._secrets = secrets
        self._data = directory.path / "mongo"

    def prepare(self, runner: Runner) -> None:
        """Create the users in a server without authentication, whose data directory is renamed afterwards.

        A server with authentication cannot create its first user. The server without authentication serves
        only clients that present the certificate of the stack: otherwise another process could create a user
        in it.
        """
        # Pass an empty configuration file: otherwise the server would read one in HOME or in /etc.
        (self._directory.path / _CONFIGURATION).touch(mode=0o600)
        if self._data.exists():
            return
        fresh = self._directory.path / "mongo.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        tls = certificate(self._directory)
        flags = (
            *("--tls-cert-file", str(tls), "--tls-key-file", str(tls)),
            *("--tls-ca-file", str(tls), "--tls-require-client-cert"),
        )
        # Stop it with SIGKILL: every commit is synced, and an orderly end takes two seconds.
        without_auth = partial(_command, fresh, signal.SIGKILL, flags)
        ports = runner.run(self.name, self.purposes, without_auth, partial(self._answers, tls=tls))
        self._make_users(ports["mongo"], tls)
        runner.stop(self.name)
        fresh.rename(self._data)

    def _make_users(self, port: int, tls: Path | None) -> None:
        from pymongo.errors import PyMongoError

        try:
            # Twice the limit of a check: it creates users, each with a synced commit.
            with _client(port, 2 * PROBE_TIMEOUT, tls) as client:
                for user, roles in _ROLES.items():
                    client.admin.command("createUser", user, pwd=self._secrets[user], roles=roles)
        except PyMongoError as error:
            raise ConfigurationError(
                f"cannot create users in the new MongoDB server ({type(error).__name__}); "
                f"see {self._directory.log(self.name)}, then start again"
            ) from error

    def command(self, ports: Mapping[str, int]) -> Command:
        """Return the command, with authentication. Each commit is synced: by default kill -9 loses some."""
        return _command(self._data, signal.SIGTERM, ("--auth",), ports)

    def is_ready(self, ports: Mapping[str, int]) -> bool:
        """Check that a MongoDB server answers `hello`: another program may listen on the port."""
        return self._answers(ports, tls=None)

    def _answers(self, ports: Mapping[str, int], tls: Path | None) -> bool:
        from pymongo.errors import PyMongoError

        try:
            # Check first whether anything listens: pymongo waits half a second after a refused connection.
            socket.create_connection(("127.0.0.1", ports["mongo"]), timeout=PROBE_TIMEOUT).close()
            with _client(ports["mongo"], PROBE_TIMEOUT, tls) as client:
                client.admin.command("hello")
        except (OSError, PyMongoError):
            return False
        return True


def _client(port: int, timeout: float, tls: Path | None) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient

    link: dict[str, Any] = (
        {"tls": True, "tlsCAFile": str(tls), "tlsCertificateKeyFile": str(tls)} if tls else {}
    )
    return MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverMonitoringMode="poll",
        timeoutMS=int(timeout * 1000),
        **link,
    )


def _command(data: Path, stop: int, flags: Sequence[str], ports: Mapping[str, int]) -> Command:
    argv = [
        *(sys.executable, "-P", "-m", "secantus", "--config", str(data.parent / _CONFIGURATION)),
        *("--host", "127.0.0.1", "--port", str(ports["mongo"]), "--storage-path", str(data)),
        # With a smaller cache an insert of 4 MB, or of one document of 15 MB, fills it and never ends.
        *("--cache-size", "256M", "--sync-on-commit", "--log-level", "INFO", *flags),
    ]
    return Command(argv, data, stop, PLAIN)
