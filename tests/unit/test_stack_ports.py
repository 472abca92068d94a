"""The ports of an embedded stack are distinct, however they were chosen or stored."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from storekit.embedded import seaweedfs
from storekit.embedded.directory import Directory
from storekit.embedded.ports import Ports
from storekit.embedded.postgres import Postgres
from storekit.embedded.seaweedfs import SeaweedFS
from storekit.embedded.secantus import Secantus

PURPOSES: dict[str, Sequence[str]] = {each.name: each.purposes for each in (Postgres, SeaweedFS, Secantus)}


@pytest.fixture(autouse=True)
def same_random_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `random.sample` return the same ports each time."""
    monkeypatch.setattr(random, "sample", lambda ports, _: list(ports))


@pytest.fixture
def home(tmp_path: Path) -> Directory:
    return Directory.claim(tmp_path / "stack")


def assigned(home: Directory, servers: Sequence[str] = tuple(PURPOSES)) -> dict[str, dict[str, int]]:
    ports = Ports(home)
    return {server: ports.assign(server, PURPOSES[server]) for server in servers}


def stored(home: Directory) -> list[int]:
    return list(_numbers(json.loads((home.path / "ports.json").read_text())))


def _numbers(memory: dict[str, dict[str, Any]]) -> Iterator[int]:
    for ports in memory.values():
        yield from ports.values()


def ports_are_distinct(home: Directory) -> bool:
    numbers = stored(home)
    return len(numbers) == sum(map(len, PURPOSES.values())) == len(set(numbers))


def test_the_ports_of_a_stack_are_distinct(home: Directory) -> None:
    """Each server has ports of its own, even before any server listens."""
    assigned(home)
    assert ports_are_distinct(home)


@pytest.mark.parametrize("clashing", PURPOSES)
def test_new_ports_after_a_clash_are_distinct(home: Directory, clashing: str) -> None:
    """A server whose port another program took gets new ports; the others keep theirs."""
    before = assigned(home)
    with socket.create_server(("127.0.0.1", next(iter(before[clashing].values())))):
        after = assigned(home)
    assert after[clashing] != before[clashing]
    assert [name for name in PURPOSES if after[name] != before[name]] == [clashing]
    assert ports_are_distinct(home)


@pytest.mark.parametrize("order", [tuple(PURPOSES), tuple(reversed(PURPOSES))])
@pytest.mark.parametrize("duplicate", [("mongo", "mongo"), ("s3", "filer.port")])
def test_stored_duplicate_ports_are_replaced(
    home: Directory, order: Sequence[str], duplicate: tuple[str, str]
) -> None:
    """A file with a duplicate port, in two servers or in one, is corrected at the next start."""
    memory = assigned(home)
    memory[duplicate[0]][duplicate[1]] = memory["s3"]["master.port.grpc"]
    home.write("ports.json", memory)
    corrected = assigned(home, order)
    assert ports_are_distinct(home)
    assert assigned(home) == corrected


def test_a_port_with_a_socket_of_another_user(home: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port is not used if /tmp contains another user's socket with the name that the S3 server needs."""
    taken = assigned(home)["s3"]["volume.port.grpc"]
    path = Path(seaweedfs._SOCKET.format("volume", taken))
    with socket.socket(socket.AF_UNIX) as mine:
        mine.bind(str(path))
    try:
        assert seaweedfs.is_usable(taken)
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
        ports = Ports(home, seaweedfs.is_usable).assign("s3", PURPOSES["s3"])
    finally:
        path.unlink()
    assert taken not in ports.values()
    assert ports_are_distinct(home)
