"""The connection of an owner to the supervisor of a stack, and the start of the supervisor."""

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
from storekit.embedded.directory import Directory, try_lock
from storekit.embedded.orphans import end_orphans
from storekit.embedded.trust import check_way
from storekit.errors import Unavailable

T = TypeVar("T")

RECORD = "supervisor.json"
_LOCK = "supervisor.lock"
_SOCKET = "supervisor.sock"
_PATIENCE = 60.0
"""Seconds to wait for the supervisor, which may itself be waiting for servers to end.

It handles one request at a time, and stopping a server takes up to 15 s: four such requests may precede.
"""
_MAX_SOCKET_PATH = 100
"""Bytes; the limit of a Unix socket's path is 104 on macOS and 108 on Linux, including the final zero."""


class OwnerConnection:
    """A connection to the supervisor. While it is open, its process is an owner of the stack.

    A forked child shares the connection: the servers then run until both processes have closed it or ended. A
    program that the process executes does not inherit it.
    """

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(_PATIENCE)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._replies = self._socket.makefile("rb")
        self._lock = Lock()

    def request(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and return the reply; a failure in the supervisor is raised as OSError."""
        with self._lock:  # one request at a time, because replies have no ids
            self._socket.sendall(json.dumps({"do": do, **request}).encode() + b"\n")
            line = self._replies.readline()
        if not line:
            raise ConnectionResetError("the supervisor of the stack has ended")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise OSError(reply["errno"], reply["error"])
        return reply

    def close(self) -> None:
        """Stop owning the stack. May be called twice."""
        self._replies.close()
        self._socket.close()


def connect_or_start(directory: Directory) -> OwnerConnection:
    """Connect to the supervisor of a stack; start one if none is running."""
    return _until_connected(directory, _start)


def connect_if_running(directory: Directory) -> OwnerConnection | None:
    """Connect to the supervisor of a stack; None if none is running.

    Servers that a killed supervisor left running are stopped.
    """
    if not (directory.path / _LOCK).exists():
        return None
    return _until_connected(directory, _clear)


def wait_for_end(directory: Directory) -> None:
    """Wait until the supervisor and its servers have ended, without becoming an owner."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _supervisor_lock(directory) as lock:
            if lock is not None:
                return
        if time.monotonic() > deadline:
            raise Unavailable(
                "embedded stack",
                f"another process started to use {directory.path} while its servers were stopping",
            )
        time.sleep(0.02)


def _until_connected(
    directory: Directory, if_not_running: Callable[[Directory, int], T]
) -> OwnerConnection | T:
    """Connect to a running supervisor, or call the function while holding the lock of the supervisor.

    A supervisor that has just started may not have written its record yet, and one that is about to end
    accepts no more owners. In both cases the loop tries again.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _supervisor_lock(directory) as lock:
            if lock is not None:
                return if_not_running(directory, lock)
        connection = _join(directory)
        if connection:
            return connection
        if time.monotonic() > deadline:
            raise Unavailable(
                "embedded stack",
                f"the supervisor of {directory.path} is running but did not reply within {_PATIENCE:.0f} s; "
                f"see {directory.log('supervisor')}",
            )
        time.sleep(0.02)


def _join(directory: Directory) -> OwnerConnection | None:
    record = _record(directory)
    if not record:
        return None
    check_way(Path(record["socket"]))  # it may be in the temporary directory, which all users share
    try:
        connection = OwnerConnection(record["socket"])
    except OSError:
        return None
    try:
        # Only a reply shows that this process is an owner now: a supervisor that is about to end accepts no
        # more.
        connection.request("status")
    except OSError:
        connection.close()
        return None
    return connection


def _record(directory: Directory) -> dict[str, Any]:
    """Read the record of the directory's supervisor; empty if there is none.

    A copied directory contains the record of the original, whose servers it must not stop.
    """
    record = directory.read(RECORD)
    if record.get("directory") != supervisor.directory_id(directory.path):
        return {}
    return {**record, "socket": os.path.join(directory.path, record["socket"])}


@contextmanager
def _supervisor_lock(directory: Directory) -> Iterator[int | None]:
    """Hold the lock that a supervisor holds as long as it runs; yield None if one is running."""
    lock = os.open(directory.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield lock if try_lock(lock) else None
    finally:
        os.close(lock)


def _clear(directory: Directory, lock: int) -> None:
    """Stop the servers of a killed supervisor, and remove its socket and record."""
    record = _record(directory)
    end_orphans(record)
    if record:
        supervisor.remove_socket(record["socket"])
    for name in (RECORD, _SOCKET):  # in a copied directory, those of the original
        (directory.path / name).unlink(missing_ok=True)


def _start(directory: Directory, lock: int) -> OwnerConnection:
    _clear(directory, lock)
    path = _socket_path(directory)
    directory.write(
        RECORD,
        {
            "socket": supervisor.stored_socket(path, directory.path),
            "directory": supervisor.directory_id(directory.path),
            "servers": {},
        },
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(64)
        # Connect before the supervisor runs, so that it has an owner from the beginning and does not end at
        # once, and so that this process need not wait for its start.
        connection = OwnerConnection(path)
        try:
            _spawn(directory, listener.fileno(), lock)
        except BaseException:
            connection.close()
            raise
    return connection


def _spawn(directory: Directory, listener: int, lock: int) -> None:
    log = os.open(directory.log("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        # -I -S: without site packages and PYTHON* variables it starts fast and always in the same way. In its
        # own session it does not get a Ctrl-C from the terminal of this owner, as other owners may use the
        # servers.
        subprocess.run(  # noqa: S603  our own script
            [sys.executable, "-I", "-S", supervisor.__file__, str(listener), str(directory.path / RECORD)],
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


def _socket_path(directory: Directory) -> str:
    path = str(directory.path / _SOCKET)
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    # mkdtemp creates the directory with mode 0700, so no other user can place a socket there, unless another
    # user can replace the directory. The record contains the path.
    private = Path(tempfile.mkdtemp(prefix="storekit-"))
    check_way(private.absolute())
    return str(private / _SOCKET)
