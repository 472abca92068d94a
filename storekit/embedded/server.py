"""Start a server, wait until it is ready, and explain its failure. Shared by the three servers."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from storekit.embedded.directory import Directory
from storekit.embedded.identity import Identity
from storekit.embedded.owner import OwnerConnection
from storekit.embedded.ports import Ports
from storekit.errors import ConfigurationError, Unavailable

START_TIMEOUT = 60.0
"""Seconds until a server must be ready; PostgreSQL may have to replay its log first."""
PROBE_TIMEOUT = 5
"""Seconds that one check of readiness may take: the end of the process is noticed only between two checks."""
_INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")
"""Environment variables that servers get. Others may hold secrets, or settings that a server would apply."""


@dataclass(frozen=True)
class Command:
    """How to run a server, the signal that stops it, and the files to remove afterwards."""

    argv: Sequence[str]
    cwd: Path
    stop: int
    identity: Identity
    env: Mapping[str, str] = field(default_factory=dict)
    leftovers: Sequence[str] = ()


class Server(Protocol):
    """One of the three servers."""

    name: str
    purposes: Sequence[str]

    def prepare(self, runner: Runner) -> None:
        """Create what the server needs. It is called again if it was interrupted."""
        ...

    def command(self, ports: Mapping[str, int]) -> Command:
        """Return the command that runs the server on these ports."""
        ...

    def is_ready(self, ports: Mapping[str, int]) -> bool:
        """Return whether the server serves requests."""
        ...


class _PortTaken(Exception):
    """Another process bound the port after it was found free."""


class Runner:
    """Starts the servers of one stack through its supervisor."""

    def __init__(
        self, directory: Directory, connection: OwnerConnection, ports: Ports, secrets: Mapping[str, str]
    ) -> None:
        self.directory = directory
        self._connection = connection
        self._ports = ports
        self._secrets = secrets
        self._supervisor: int = connection.request("status")["pid"]

    def start(self, server: Server) -> None:
        """Prepare a server, run it and wait until it is ready."""
        server.prepare(self)
        self.run(server.name, server.purposes, server.command, server.is_ready)
        self._connection.request("ready", name=server.name)

    def run(
        self,
        name: str,
        purposes: Sequence[str],
        command: Callable[[Mapping[str, int]], Command],
        is_ready: Callable[[Mapping[str, int]], bool],
    ) -> Mapping[str, int]:
        """Run a command on free ports, and return the ports once it is ready."""
        for _ in range(3):
            ports = self._ports.assign(name, purposes)
            self._spawn(name, command(ports))
            try:
                self._wait(name, partial(is_ready, ports))
            except _PortTaken:
                continue
            return ports
        raise Unavailable(name, "other processes took its ports three times while it started")

    def stop(self, name: str) -> None:
        """Stop a server and wait until it has ended."""
        self._connection.request("stop", name=name)

    def _spawn(self, name: str, command: Command) -> None:
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        self._connection.request(
            "spawn",
            name=name,
            argv=command.identity.command(command.argv, parent=self._supervisor, stop=command.stop),
            env={**inherited, "LC_ALL": "C", **command.env},
            cwd=str(command.cwd),
            log=str(self.directory.log(name)),
            stop=int(command.stop),
            leftovers=list(command.leftovers),
        )

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            # Call is_ready before checking the process: if the process has ended, another program used its
            # port.
            ready = is_ready()
            code = self._connection.request("status")["servers"][name]["code"]
            if code is not None:
                raise self._ended(name, code)
            if ready:
                return
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"{name} was not ready within {START_TIMEOUT:g} s; "
                    f"see {self.directory.log(name)}, then start again"
                )
            time.sleep(0.02)

    def _ended(self, name: str, code: int) -> Exception:
        log = self.directory.log(name)
        tail = log.read_text(errors="replace")[-20_000:]
        if "ddress already in use" in tail:
            return _PortTaken()
        if "o space left on device" in tail:
            return disk_full(self.directory.path)
        lines = " | ".join(line.strip() for line in tail.splitlines()[-5:] if line.strip())
        for secret in self._secrets.values():
            lines = lines.replace(secret, "***")
        return ConfigurationError(
            f"{name} exited with code {code} while starting; end of its log: {lines[-600:]} (all: {log})"
        )


def disk_full(directory: Path) -> ConfigurationError:
    """Return the error of a full disk."""
    return ConfigurationError(f"the disk that holds {directory} is full; free some space and start again")


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn errors of the operating system into storekit's, with the next step."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise Unavailable(
            "embedded stack", f"the connection to the supervisor of {directory} broke ({error})"
        ) from error
    except subprocess.SubprocessError as error:
        raise ConfigurationError(f"a program of the embedded stack failed: {error}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(directory) from error
        raise ConfigurationError(
            f"cannot use {directory} for the embedded stack ({error}); "
            "use a directory that this user may write to"
        ) from error
