"""An owner's connection to the supervisor of a stack, and how the supervisor comes to be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from storekit.embedded import supervisor
from storekit.embedded.directory import Home, try_lock
from storekit.embedded.orphans import end_orphans
from storekit.errors import Unavailable

T = TypeVar("T")

RECORD = "supervisor.json"
_LOCK = "supervisor.lock"
_SOCKET = "supervisor.sock"
_PATIENCE = 60.0
"""Seconds to wait for the supervisor, which may itself be waiting for servers to end."""
_LONGEST = 100
"""Bytes that a Unix socket's path may have everywhere (macOS: 104, Linux: 108, with the zero)."""


class Link:
    """A connection that owns the stack as long as it is open.

    A forked child shares it: the stack then lives until both have closed it or ended. A program that the
    process executes does not get it.
    """

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(_PATIENCE)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._answers = self._socket.makefile("rb")
        self._turn = Lock()

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send one request and take its answer; the supervisor's failure is an OSError here."""
        with self._turn:
            self._socket.sendall(json.dumps({"do": do, **request}).encode() + b"\n")
            line = self._answers.readline()
        if not line:
            raise ConnectionResetError("the supervisor of the stack has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise OSError(answer["errno"], answer["error"])
        return answer

    def close(self) -> None:
        """Cease to own the stack. May be called twice."""
        self._answers.close()
        self._socket.close()


def own(home: Home) -> Link:
    """Connect to the supervisor of a stack, starting it where none lives."""
    return _until_connected(home, _start)


def living(home: Home) -> Link | None:
    """Connect to the supervisor of a stack, if one lives; what a killed one left running is ended."""
    if not (home.path / _LOCK).exists():
        return None
    return _until_connected(home, _clear)


def wait_for_end(home: Home) -> None:
    """Wait until the supervisor and its servers have ended, without becoming an owner."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _supervisor_lock(home) as lock:
            if lock is not None:
                return
        if time.monotonic() > deadline:
            raise Unavailable(
                "embedded stack", f"{home.path} found a new owner while its servers were to end"
            )
        time.sleep(0.02)


def _until_connected(home: Home, alone: Callable[[Home, int], T]) -> Link | T:
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _supervisor_lock(home) as lock:
            if lock is not None:
                return alone(home, lock)
        link = _join(home)
        if link:
            return link
        if time.monotonic() > deadline:
            raise Unavailable(
                "embedded stack",
                f"the supervisor of {home.path} lives but did not answer within {_PATIENCE:.0f} s; "
                f"see {home.log('supervisor')}",
            )
        time.sleep(0.02)


def _join(home: Home) -> Link | None:
    path = home.read(RECORD).get("socket")
    if path is None:
        return None
    try:
        link = Link(path)
    except OSError:
        return None
    try:
        # Only an answer says that we are counted: a supervisor about to end takes no more owners.
        link.ask("status")
    except OSError:
        link.close()
        return None
    return link


@contextmanager
def _supervisor_lock(home: Home) -> Iterator[int | None]:
    """Hold the lock that a supervisor holds for life; None where one lives."""
    lock = os.open(home.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield lock if try_lock(lock) else None
    finally:
        os.close(lock)


def _clear(home: Home, lock: int) -> None:
    """Put away what a killed supervisor left: its servers and its socket."""
    record = home.read(RECORD)
    end_orphans(record)
    if record:
        supervisor.remove_socket(record["socket"])
        (home.path / RECORD).unlink(missing_ok=True)


def _start(home: Home, lock: int) -> Link:
    _clear(home, lock)
    path = _socket_path(home)
    home.write(RECORD, {"socket": path, "servers": {}})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(64)
        # Connected before the supervisor lives, we are its first owner, and there is nothing to wait for.
        link = Link(path)
        try:
            _spawn(home, listener.fileno(), lock)
        except BaseException:
            link.close()
            raise
    return link


def _spawn(home: Home, listener: int, lock: int) -> None:
    log = os.open(home.log("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        subprocess.run(  # noqa: S603  our own script
            [sys.executable, "-I", "-S", supervisor.__file__, str(listener), str(home.path / RECORD)],
            pass_fds=(listener, lock),
            start_new_session=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
        )
    finally:
        os.close(log)


def _socket_path(home: Home) -> str:
    path = str(home.path / _SOCKET)
    if len(os.fsencode(path)) <= _LONGEST:
        return path
    # Its own random directory, 0700: nobody can have made it before us, and the record says where it is.
    return str(Path(tempfile.mkdtemp(prefix="storekit-")) / _SOCKET)
