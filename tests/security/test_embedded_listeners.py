"""No port or socket of the embedded servers gives anything to a process without a credential."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Annotated, Any
from uuid import uuid4

import pytest

from storekit import Blob, Entity, Store, blob
from storekit.embedded import status
from storekit.embedded.owner import OwnerConnection
from tests.security import intruder
from tests.security.listeners import descendants, listeners

Address = int | str
ANOTHER = 65534 if os.geteuid() == 0 else os.geteuid()
"""The uid of the intruder: only root can become another user."""


class Note(Entity, table="notes"):
    file: Annotated[Blob | None, blob(media_type="text/plain")] = None


class Watch:
    """Tries each listening socket of a stack as soon as it exists, and again on request."""

    def __init__(self, ask: Callable[[list[Address]], list[Any]]) -> None:
        self._ask = ask
        self._lock = Lock()
        self.seen: dict[str, Address] = {}
        self.given_away: list[Any] = []

    def look(self, supervisor: int) -> None:
        """Try the sockets that were not there at the last look."""
        with self._lock:
            found = listeners(descendants(supervisor))
            fresh = {inode: at for inode, at in found.items() if inode not in self.seen}
            self.seen |= fresh
            self.given_away += self._ask(list(fresh.values()))


@pytest.fixture
def ask() -> Iterator[Callable[[list[Address]], list[Any]]]:
    """Start the intruder, and return a function that tries addresses and returns what they gave away."""
    command = [sys.executable, "-I", "-S", intruder.__file__, str(ANOTHER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout

        def ask(addresses: list[Address]) -> list[Any]:
            assert process.stdin
            assert process.stdout
            # Without another user, whom the modes of a Unix socket keep away, its modes are checked.
            closed = {each for each in addresses if isinstance(each, str) and _is_closed(each)}
            tried = [each for each in addresses if os.geteuid() == 0 or each not in closed]
            process.stdin.write(json.dumps(tried) + "\n")
            process.stdin.flush()
            found: list[Any] = json.loads(process.stdout.readline())
            return found

        yield ask
        process.stdin.close()


def _is_closed(path: str) -> bool:
    parents = (stat.S_IMODE(each.stat().st_mode) for each in Path(path).parents)
    return not os.stat(path).st_mode & stat.S_IWOTH or not all(mode & stat.S_IXOTH for mode in parents)


@pytest.fixture
def watch(ask: Callable[[list[Address]], list[Any]], monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Look at the sockets of a stack after each request to its supervisor, before its start goes on."""
    watch, request = Watch(ask), OwnerConnection.request

    def watched(link: OwnerConnection, do: str, **more: Any) -> dict[str, Any]:
        reply = request(link, do, **more)
        watch.look(request(link, "status")["pid"])
        return reply

    monkeypatch.setattr(OwnerConnection, "request", watched)
    return watch


def test_no_listener_serves_another_user(
    watch: Watch, ask: Callable[[list[Address]], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no time from the first start on does any port or socket serve a process without a credential."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        home = Path(name) / "stack"
        with Store.embedded(home, entities=[Note]) as store:
            notes = store.scope(tenant=uuid4(), actor="a").repository(Note)
            note = notes.save(Note(file=Blob(b"the secret of a tenant")))
            pids = [each.pid for each in status(home) if each.pid]
            now = listeners(pids)
            assert {str(each.port) for each in status(home)} <= {str(each) for each in now.values()}
            assert set(now) <= set(watch.seen)
            assert len(watch.seen) > len(now)  # such as the server in which the users of MongoDB are made
            assert watch.given_away == []
            assert ask(list(watch.seen.values())) == []
            assert notes.read(note.ref_id, "file") == b"the secret of a tenant"


def test_the_intruder_can_succeed(ask: Callable[[list[Address]], list[Any]], tmp_path: Path) -> None:
    """The probe itself notices open HTTP, HTTP/2, MongoDB and PostgreSQL servers."""
    import socket
    from threading import Thread

    opened = (
        b"HTTP/1.1 200 OK\r\n\r\ndata",
        intruder._SETTINGS,
        b"\x01ok\0" + bytes.fromhex("000000000000f03f"),
        b"R\0\0\0\x08\0\0\0\0",
    )
    for reply in opened:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve(server: socket.socket = server, reply: bytes = reply) -> None:
                while True:
                    try:
                        link, _ = server.accept()
                    except OSError:
                        return
                    with link:
                        link.recv(1024)
                        link.sendall(reply)

            Thread(target=serve, daemon=True).start()
            port = server.getsockname()[1]
            assert {at for at, *_ in ask([port])} == {port}
            server.shutdown(socket.SHUT_RDWR)
