"""The parent of a stack's servers: it ends them when the last owner has gone.

    python -I -S supervisor.py LISTENER RECORD

An owner is a connection. The kernel closes it even after kill -9, so no list of pids can grow stale.
Requests and answers are JSON, one a line. The process is a script on the standard library alone (small, up
in some 20 ms) and knows nothing about its servers: a starter tells it what to run.

It inherits the lock of the directory, which the kernel holds until it ends, whatever ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

LOOK = 1.0
"""Seconds between two looks at whether the directory is still there."""
PATIENCE = 15.0
"""Seconds that a server has to end before it is killed; none of them loses anything by that."""
HASTE = 3.0
"""The same where the directory is gone: there a server may wait in vain for files of its own."""


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    birth: str | None
    stop: int
    litter: list[str]
    ready: bool = False

    def ask_to_end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.stop)

    def end(self, deadline: float) -> None:
        """Wait for the end, and bring it about at the deadline."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def clear(self) -> None:
        """Remove what the server leaves lying."""
        for path in self.litter:
            Path(path).unlink(missing_ok=True)


class Supervisor:
    def __init__(self, listener: socket.socket, record: Path) -> None:
        self._listener = listener
        self._record = record
        # An open directory's inode is not given anew, so another directory of this name is not taken for it.
        self._home = os.open(record.parent, os.O_RDONLY)
        self._socket = listener.getsockname()
        self._servers: dict[str, Server] = {}
        self._owners: dict[socket.socket, bytes] = {}
        self._kept = False
        self._events = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until the last owner has gone, or the directory with all that the servers keep."""
        self._listener.setblocking(False)
        self._events.register(self._listener, selectors.EVENT_READ)
        try:
            self._accept()  # the starter connected before it made this process
            while (self._owners or self._kept) and self._is_home():
                for key, _ in self._events.select(LOOK):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._hear(key.fileobj)
        finally:
            self._end_all()

    def _is_home(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._home), os.stat(self._record.parent))
        except OSError:
            return False

    def _accept(self) -> None:
        try:
            owner, _ = self._listener.accept()
        except OSError:  # it left while it waited
            return
        owner.setblocking(True)
        self._owners[owner] = b""
        self._events.register(owner, selectors.EVENT_READ)

    def _hear(self, owner: socket.socket) -> None:
        try:
            heard = owner.recv(65536)
            *lines, self._owners[owner] = (self._owners[owner] + heard).split(b"\n")
            for line in lines:
                owner.sendall(json.dumps(self._answer(json.loads(line))).encode() + b"\n")
        except OSError:
            heard = b""
        if not heard:
            self._events.unregister(owner)
            del self._owners[owner]
            owner.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        do = getattr(self, f"do_{request.pop('do')}")
        try:
            answer: dict[str, Any] = do(**request)
        except OSError as error:
            return {"errno": error.errno, "error": str(error)}
        return answer

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
        litter: list[str],
    ) -> dict[str, Any]:
        self.do_stop(name)
        if os.path.exists(log):
            os.replace(log, f"{log}.1")
        with open(log, "wb") as output:
            process = subprocess.Popen(  # noqa: S603  only the stack's owner reaches the socket
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._servers[name] = Server(process, birth(process.pid), stop, litter)
        self._note()
        return {}

    def do_ready(self, name: str) -> dict[str, Any]:
        self._servers[name].ready = True
        return {}

    def do_stop(self, name: str) -> dict[str, Any]:
        server = self._servers.pop(name, None)
        if server:
            server.ask_to_end()
            server.end(time.monotonic() + PATIENCE)
            server.clear()
        return {}

    def do_keep(self, kept: bool) -> dict[str, Any]:
        self._kept = kept
        return {}

    def _note(self) -> None:
        # For a starter that finds this process killed and, where nothing ties them to it, its servers alive.
        servers = {
            name: {"pid": each.process.pid, "birth": each.birth, "stop": each.stop}
            for name, each in self._servers.items()
        }
        fresh = self._record.with_suffix(".tmp")
        fresh.write_text(json.dumps({"socket": self._socket, "servers": servers}))
        fresh.replace(self._record)

    def _end_all(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for server in self._servers.values():
            server.ask_to_end()
        deadline = time.monotonic() + (PATIENCE if self._is_home() else HASTE)
        for server in self._servers.values():
            server.end(deadline)
        # What lies where the directory was may be another stack's by now.
        if self._is_home():
            for server in self._servers.values():
                server.clear()
            self._record.unlink(missing_ok=True)
        if self._is_home() or Path(self._socket).parent != self._record.parent:
            remove_socket(self._socket)


def remove_socket(path: str) -> None:
    """Remove a supervisor's socket, and its directory if it had one to itself."""
    Path(path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: it is the stack's
        os.rmdir(os.path.dirname(path))


def birth(pid: int) -> str | None:
    """Tell when a living process began, so that a pid that was given anew is not taken for it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return None if sys.platform.startswith("linux") else _birth_by_ps(pid)
    except ProcessLookupError:
        return None
    # The name, in brackets, may itself hold spaces and brackets; a zombie (Z) has ended.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else f"{boot} {fields[18]}"


def _birth_by_ps(pid: int) -> str | None:
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    found = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  a fixed program
    return found.stdout.strip() or None


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(0)


def main(listener: str, record: str) -> None:
    """Detach from the starter, whose child would otherwise wait for it as a zombie, and serve."""
    if os.fork():
        os._exit(0)
    os.umask(0o077)  # of the servers too
    signal.signal(signal.SIGTERM, _leave)
    Supervisor(socket.socket(fileno=int(listener)), Path(record)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
