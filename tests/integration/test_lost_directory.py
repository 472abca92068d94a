"""A stack whose directory is deleted or moved while it runs."""

from __future__ import annotations

import os
import select
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from storekit.embedded import Stack, down, status, up
from storekit.embedded.owner import OwnerConnection
from tests.support.stacks import Stacks

DEADLINE = 12.0


@contextmanager
def watched(pid: int) -> Iterator[int]:
    """Open a pidfd of a process, which becomes readable when the process ends."""
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def started(stacks: Stacks) -> Iterator[Path]:
    """Start a stack with a short path, where the supervisor's socket is in the directory itself."""
    with tempfile.TemporaryDirectory(prefix="sk-") as name:
        home = stacks.prepare(Path(name) / "stack")
        up(home)
        yield home
        down(home)


def processes(home: Path) -> list[int]:
    link = OwnerConnection(str(home / "supervisor.sock"))
    supervisor = link.request("status")["pid"]
    link.close()
    return [supervisor, *(each.pid for each in status(home) if each.pid is not None)]


def test_servers_end_when_their_directory_is_deleted(stacks: Stacks) -> None:
    """If the directory of a running stack is deleted, its servers and supervisor end within seconds."""
    with started(stacks) as home, ExitStack() as stack:
        running = [stack.enter_context(watched(pid)) for pid in processes(home)]
        assert len(running) == 4
        while home.exists():
            shutil.rmtree(home, ignore_errors=True)  # a server may create a file at the same time
        for process in running:
            assert select.select([process], [], [], DEADLINE)[0]
        assert not home.exists()


def test_a_new_stack_in_its_place_is_left_alone(stacks: Stacks) -> None:
    """If a new stack takes the place of a moved one, the old servers end and the new ones stay."""
    with started(stacks) as home, ExitStack() as stack:
        running = [stack.enter_context(watched(pid)) for pid in processes(home)]
        home.rename(home.with_name("moved"))
        with Stack.start(stacks.prepare(home)):
            for process in running:
                assert select.select([process], [], [], DEADLINE)[0]
            assert (home / "supervisor.sock").is_socket()
            assert (home / "supervisor.json").exists()
            assert all(server.running for server in status(home))
