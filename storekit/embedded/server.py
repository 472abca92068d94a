"""What the three servers have in common: how one is started, waited for, and explained when it fails."""

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

from storekit.embedded.directory import Home
from storekit.embedded.identity import Identity
from storekit.embedded.owner import Link
from storekit.embedded.ports import Ports
from storekit.errors import ConfigurationError, Unavailable

START = 60.0
"""Seconds that a server has to answer; PostgreSQL may have to replay its log first."""
_INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")
"""Of the environment; the rest may hold secrets of the application, or settings that a server would obey."""


@dataclass(frozen=True)
class Command:
    """How to run a server: its programs, the signal that ends it, the files it leaves behind."""

    argv: Sequence[str]
    cwd: Path
    stop: int
    identity: Identity
    env: Mapping[str, str] = field(default_factory=dict)
    litter: Sequence[str] = ()


class Server(Protocol):
    """One of the three."""

    name: str
    purposes: Sequence[str]

    def prepare(self, runner: Runner) -> None:
        """Make what must be there before the server runs; interrupted, it is made afresh."""
        ...

    def command(self, ports: Mapping[str, int]) -> Command: ...

    def answers(self, ports: Mapping[str, int]) -> bool:
        """Tell whether the server does its work."""
        ...


class _PortTaken(Exception):
    """Another process took the port between the look and the start."""


class Runner:
    """Starts servers of one stack through its supervisor."""

    def __init__(self, home: Home, link: Link, ports: Ports, secrets: Mapping[str, str]) -> None:
        self.home = home
        self._link = link
        self._ports = ports
        self._secrets = secrets
        self._supervisor: int = link.ask("status")["pid"]

    def start(self, server: Server) -> None:
        """Prepare a server, run it and wait until it does its work."""
        server.prepare(self)
        self.run(server.name, server.purposes, server.command, server.answers)
        self._link.ask("ready", name=server.name)

    def run(
        self,
        name: str,
        purposes: Sequence[str],
        command: Callable[[Mapping[str, int]], Command],
        answers: Callable[[Mapping[str, int]], bool],
    ) -> Mapping[str, int]:
        """Run a command on free ports until it answers."""
        for _ in range(3):
            ports = self._ports.give(name, purposes)
            self._spawn(name, command(ports))
            try:
                self._wait(name, partial(answers, ports))
            except _PortTaken:
                continue
            return ports
        raise Unavailable(name, "its ports were taken three times by others while it started")

    def stop(self, name: str) -> None:
        """End a server and wait for its end."""
        self._link.ask("stop", name=name)

    def _spawn(self, name: str, command: Command) -> None:
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        self._link.ask(
            "spawn",
            name=name,
            argv=command.identity.command(command.argv, parent=self._supervisor, stop=command.stop),
            env={**inherited, "LC_ALL": "C", **command.env},
            cwd=str(command.cwd),
            log=str(self.home.log(name)),
            stop=int(command.stop),
            litter=list(command.litter),
        )

    def _wait(self, name: str, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START
        while True:
            # First the answer, then the pulse: what answered may be another's server on our port.
            done = answers()
            code = self._link.ask("status")["servers"][name]["code"]
            if code is not None:
                raise self._ended(name, code)
            if done:
                return
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"{name} did not answer within {START:g} s; see {self.home.log(name)}, then start again"
                )
            time.sleep(0.02)

    def _ended(self, name: str, code: int) -> Exception:
        log = self.home.log(name)
        tail = log.read_text(errors="replace")[-20_000:]
        if "ddress already in use" in tail:
            return _PortTaken()
        if "o space left on device" in tail:
            return disk_full(self.home.path)
        lines = " | ".join(line.strip() for line in tail.splitlines()[-5:] if line.strip())
        for secret in self._secrets.values():
            lines = lines.replace(secret, "***")
        return ConfigurationError(
            f"{name} ended with code {code} while it started; its log ends: {lines[-600:]} (all of it: {log})"
        )


def disk_full(directory: Path) -> ConfigurationError:
    """Name the remedy of a full disk."""
    return ConfigurationError(f"the disk that holds {directory} is full; free some space and start again")


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn what the operating system says into errors that name the remedy."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise Unavailable("embedded stack", f"the supervisor of {directory} was lost ({error})") from error
    except subprocess.SubprocessError as error:
        raise ConfigurationError(f"a program of the embedded stack failed: {error}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(directory) from error
        raise ConfigurationError(
            f"cannot use {directory} for the embedded stack ({error}); "
            "name a directory that this user may write to"
        ) from error
