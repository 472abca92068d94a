"""A stack whose directory was moved or copied."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storekit import Blob, Store
from storekit.embedded import Stack, down, status, up
from storekit.embedded.owner import OwnerConnection
from storekit.embedded.supervisor import start_time
from storekit.errors import NotFound
from tests.integration.test_embedded import wait_until_ended
from tests.support.entities import ENTITIES, Note


@pytest.fixture
def parent() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sk-", dir="/tmp") as name:
        yield Path(name)


def save(home: Path, title: str) -> tuple[str, str]:
    """Save a record with a blob; return its tenant and ref_id."""
    tenant = str(uuid4())
    with Store.embedded(home, ENTITIES) as store:
        notes = store.scope(tenant=tenant, actor="a").repository(Note)
        return tenant, notes.save(Note(title=title, content=Blob(title.encode()))).ref_id


def read(home: Path, tenant: str, ref_id: str) -> bytes:
    with Store.embedded(home, ENTITIES) as store:
        return store.scope(tenant=tenant, actor="a").repository(Note).read(ref_id, "content")


def ports(home: Path) -> set[int]:
    saved = json.loads((home / "ports.json").read_text())
    return {port for server in saved.values() for port in server.values()}


def copy(home: Path, target: Path) -> Path:
    """Copy a directory with its files as they are, also while servers change them."""

    def sockets(directory: str, names: list[str]) -> set[str]:
        return {each for each in names if (Path(directory) / each).is_socket()}

    shutil.copytree(home, target, ignore=sockets)
    for each in ("supervisor.sock", "s3/s3.sock", "s3/filer.sock"):
        if (home / each).exists():
            os.mknod(target / each, 0o140600)  # as `cp -a` does
    return target


def test_a_moved_directory_opens(parent: Path) -> None:
    """A directory that was moved opens with everything that was saved in it."""
    known = save(parent / "stack", "before")
    wait_until_ended(parent / "stack")
    (parent / "a" / "much" / "longer" / "path").mkdir(parents=True)
    moved = (parent / "stack").rename(parent / "a" / "much" / "longer" / "path" / "stack")
    assert read(moved, *known) == b"before"
    assert read(moved, *save(moved, "after")) == b"after"
    wait_until_ended(moved)
    stored = b"".join(each.read_bytes() for each in (*moved.glob("*.json"), *moved.glob("s3/*.toml")))
    assert str(parent / "stack").encode() + b"/" not in stored


def test_a_copy_beside_its_original(parent: Path) -> None:
    """A copy of a stack opens while the original runs, on its own ports, and changes nothing of it."""
    known = save(parent / "stack", "before")
    wait_until_ended(parent / "stack")
    twin = copy(parent / "stack", parent / "twin")
    with Stack.start(parent / "stack"):
        before = status(parent / "stack")
        own = save(twin, "copy")
        assert read(twin, *known) == b"before"
        assert status(parent / "stack") == before
        with Stack.start(twin):
            assert ports(twin).isdisjoint(ports(parent / "stack"))
        assert read(parent / "stack", *known) == b"before"
        with pytest.raises(NotFound):
            read(parent / "stack", *own)
    wait_until_ended(twin)
    wait_until_ended(parent / "stack")


@pytest.mark.parametrize("call", [Stack.start, status, down])
def test_a_copy_of_a_running_stack(parent: Path, call: object) -> None:
    """A copy that was made while the original ran does not take its processes for its own."""
    up(parent / "stack")
    twin = copy(parent / "stack", parent / "twin")
    before = status(parent / "stack")
    shutil.rmtree(twin / "postgres")  # a copy that is no backup; only the processes matter here
    shutil.rmtree(twin / "mongo")
    shutil.rmtree(twin / "s3")
    (twin / "s3").mkdir(mode=0o700)
    assert callable(call)
    started = call(twin)
    if isinstance(started, Stack):
        started.close()
        wait_until_ended(twin)
    assert status(parent / "stack") == before
    assert [each.pid for each in before if not each.pid or not start_time(each.pid)] == []
    assert down(parent / "stack") == 0


def test_a_moved_directory_of_a_killed_supervisor(parent: Path) -> None:
    """A directory that was moved after a crash leaves the socket of a new stack in its old place alone."""
    home = parent / "stack"
    up(home)
    link = OwnerConnection(str(home / "supervisor.sock"))
    supervisor = link.request("status")["pid"]
    link.close()
    servers = [each.pid for each in status(home)]
    os.kill(supervisor, signal.SIGKILL)
    # The kernel has told the servers to stop. One that still writes would lose its files by the move.
    deadline = time.monotonic() + 60
    while any(pid and start_time(pid) for pid in servers):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    moved = home.rename(parent / "moved")
    with Stack.start(home):
        with Stack.start(moved):
            assert all(each.running for each in status(moved))
        assert (home / "supervisor.sock").is_socket()
        assert all(each.running for each in status(home))
    wait_until_ended(moved)
    wait_until_ended(home)
