"""The parent process of the servers of a stack. It stops the servers when no owner is left.

    python -I -S supervisor.py LISTENER RECORD

Each owner is a connection, not a pid: the kernel closes the connection of a process even after kill -9, while
a list of pids would become stale. Requests and replies are JSON, one per line.

The supervisor is a script that uses the standard library only, so that it starts in about 20 ms and stays
small. It knows nothing about the servers; requests say what to run. It inherits the open lock file of the
directory, which the kernel unlocks when the supervisor ends for any reason. Therefore at most one supervisor
runs for a directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

CHECK_INTERVAL = 1.0
"""Seconds between two checks that the directory still exists; one costs a single stat."""
PATIENCE = 15.0
"""Seconds that a server has to end before it is killed. Killing is safe: all of them sync their commits.

MongoDB and S3 need 1 to 2 s. Postgres writes a checkpoint first; without it the next start replays the log.
"""
PATIENCE_WITHOUT_DIRECTORY = 3.0
"""The same after the directory was deleted: a server may then wait for files that no longer exist, and no
data is left that a later start would have to repair."""


@dataclass
class Server:
    """One running server."""

    process: subprocess.Popen[bytes]
    start_time: str | None
    stop: int
    leftovers: list[str]
    ready: bool = False

    def send_stop(self) -> None:
        """Send the signal that stops it, if it is still running."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop)

    def wait(self, deadline: float) -> None:
        """Wait until it has ended, and kill it at the deadline."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def remove_files(self) -> None:
        """Remove the files that the server leaves behind."""
        for path in self.leftovers:
            # The paths are in a directory that all users share: another user may have used the name since.
            with contextlib.suppress(OSError):
                found = os.lstat(path)
                if stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid():
                    os.unlink(path)


class Supervisor:
    """Starts and stops servers on request, and stops all of them when no owner is left."""

    def __init__(self, listener: socket.socket, record: Path) -> None:
        self._listener = listener
        self._record = record
        # While the descriptor is open, the inode cannot be reused, so a new directory of the same name
        # differs.
        self._directory = os.open(record.parent, os.O_RDONLY)
        self._socket = listener.getsockname()
        self._servers: dict[str, Server] = {}
        self._owners: dict[socket.socket, bytes] = {}
        self._kept = False
        self._events = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until no owner is left or the directory was deleted."""
        self._listener.setblocking(False)
        self._events.register(self._listener, selectors.EVENT_READ)
        try:
            self._accept()  # the process that started this one has connected before
            while (self._owners or self._kept) and self._directory_exists():
                for key, _ in self._events.select(CHECK_INTERVAL):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._receive(key.fileobj)
        finally:
            self._stop_all()

    def _directory_exists(self) -> bool:
        """Return whether the path still leads to the directory in which the supervisor was started."""
        try:
            return os.path.samestat(os.fstat(self._directory), os.stat(self._record.parent))
        except OSError:
            return False

    def _accept(self) -> None:
        try:
            owner, _ = self._listener.accept()
        except OSError:  # it closed the connection meanwhile
            return
        owner.setblocking(True)  # replies fit in a socket buffer, so no slow owner can block the others
        self._owners[owner] = b""
        self._events.register(owner, selectors.EVENT_READ)

    def _receive(self, owner: socket.socket) -> None:
        try:
            received = owner.recv(65536)
            *lines, self._owners[owner] = (self._owners[owner] + received).split(b"\n")
            for line in lines:
                owner.sendall(json.dumps(self._handle(json.loads(line))).encode() + b"\n")
        except OSError:
            received = b""
        if not received:
            self._events.unregister(owner)
            del self._owners[owner]
            owner.close()

    def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        do = getattr(self, f"do_{request.pop('do')}")
        try:
            reply: dict[str, Any] = do(**request)
        except OSError as error:
            return {"errno": error.errno, "error": str(error)}
        return reply

    def do_status(self) -> dict[str, Any]:
        servers = {
            name: {"pid": each.process.pid, "code": each.process.poll(), "ready": each.ready}
            for name, each in self._servers.items()
        }
        return {"pid": os.getpid(), "owners": len(self._owners), "kept": self._kept, "servers": servers}

    def do_spawn(
        self,
        name: str,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        log: str,
        stop: int,
        leftovers: list[str],
    ) -> dict[str, Any]:
        self.do_stop(name)  # an earlier attempt, on ports that another program used, may still be running
        if os.path.exists(log):
            os.replace(log, f"{log}.1")
        with open(log, "wb") as output:
            process = subprocess.Popen(  # noqa: S603  only the stack's owner reaches the socket
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._servers[name] = Server(process, start_time(process.pid), stop, leftovers)
        self._write_record()
        return {}

    def do_ready(self, name: str) -> dict[str, Any]:
        self._servers[name].ready = True
        return {}

    def do_stop(self, name: str) -> dict[str, Any]:
        server = self._servers.pop(name, None)
        if server:
            server.send_stop()
            server.wait(time.monotonic() + PATIENCE)
            server.remove_files()
        return {}

    def do_keep(self, kept: bool) -> dict[str, Any]:
        self._kept = kept
        return {}

    def _write_record(self) -> None:
        # If this process is killed, the next process that starts the stack finds the servers in this record
        # and stops them.
        servers = {
            name: {"pid": each.process.pid, "start_time": each.start_time, "stop": each.stop}
            for name, each in self._servers.items()
        }
        record = {
            "socket": stored_socket(self._socket, self._record.parent),
            "directory": directory_id(self._directory),
            "servers": servers,
        }
        fresh = self._record.with_suffix(".tmp")
        fresh.write_text(json.dumps(record))
        fresh.replace(self._record)

    def _stop_all(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Signal all servers before waiting for any, so that they stop in parallel.
        for server in self._servers.values():
            server.send_stop()
        patience = PATIENCE if self._directory_exists() else PATIENCE_WITHOUT_DIRECTORY
        deadline = time.monotonic() + patience
        for server in self._servers.values():
            server.wait(deadline)
        # Files at the path of a deleted directory may belong to a new stack.
        if self._directory_exists():
            for server in self._servers.values():
                server.remove_files()
            self._record.unlink(missing_ok=True)
        if self._directory_exists() or Path(self._socket).parent != self._record.parent:
            remove_socket(self._socket)


def directory_id(directory: int | str | Path) -> str:
    """Return what identifies a directory: a copy of it has another one, and a moved directory keeps it."""
    found = os.stat(directory)
    return f"{found.st_dev}:{found.st_ino}"


def stored_socket(path: str, directory: Path) -> str:
    """Return a socket's path as the record contains it: without the directory, which may be moved."""
    return os.path.basename(path) if os.path.dirname(path) == str(directory) else path


def remove_socket(path: str) -> None:
    """Remove a supervisor's socket, and its directory if that held nothing else."""
    Path(path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: it is the directory of the stack
        os.rmdir(os.path.dirname(path))


def start_time(pid: int) -> str | None:
    """Return when a running process started; None if it has ended.

    A pid together with its start time identifies a process even if the pid is reused.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return None if sys.platform.startswith("linux") else _start_time_by_ps(pid)
    except ProcessLookupError:
        return None
    # The name in parentheses may itself contain spaces and parentheses. A zombie (Z) has ended.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else f"{boot} {fields[18]}"


def _start_time_by_ps(pid: int) -> str | None:
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    found = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  a fixed program
    return found.stdout.strip() or None


def _exit(number: int, frame: object) -> NoReturn:
    sys.exit(0)


def main(listener: str, record: str) -> None:
    """Detach from the process that started this one, and serve.

    That process waits only for its direct child, which ends after the fork: no zombie is left, and it need
    not wait.
    """
    if os.fork():
        os._exit(0)
    os.umask(0o077)  # inherited by the servers
    signal.signal(signal.SIGTERM, _exit)
    Supervisor(socket.socket(fileno=int(listener)), Path(record)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
