"""The ports of an embedded stack are one set, however they came to be remembered."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from storekit.embedded.directory import Directory
from storekit.embedded.ports import Ports
from storekit.embedded.postgres import Postgres
from storekit.embedded.seaweedfs import SeaweedFS
from storekit.embedded.secantus import Secantus

PURPOSES: dict[str, Sequence[str]] = {each.name: each.purposes for each in (Postgres, SeaweedFS, Secantus)}


@pytest.fixture(autouse=True)
def unlucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the same ports each time."""
    monkeypatch.setattr(random, "sample", lambda ports, _: list(ports))


@pytest.fixture
def home(tmp_path: Path) -> Directory:
    return Directory.claim(tmp_path / "stack")


def given(home: Directory, servers: Sequence[str] = tuple(PURPOSES)) -> dict[str, dict[str, int]]:
    ports = Ports(home)
    return {server: ports.assign(server, PURPOSES[server]) for server in servers}


def remembered(home: Directory) -> list[int]:
    return list(_numbers(json.loads((home.path / "ports.json").read_text())))


def _numbers(memory: dict[str, dict[str, Any]]) -> Iterator[int]:
    for ports in memory.values():
        yield from ports.values()


def distinct(home: Directory) -> bool:
    numbers = remembered(home)
    return len(numbers) == sum(map(len, PURPOSES.values())) == len(set(numbers))


def test_no_two_servers_of_a_stack_are_given_one_port(home: Directory) -> None:
    """Each purpose of each server has a port of its own, though no server listens yet."""
    given(home)
    assert distinct(home)


@pytest.mark.parametrize("clashing", PURPOSES)
def test_ports_redrawn_after_a_clash_are_nobody_elses(home: Directory, clashing: str) -> None:
    """A server that lost a port to a stranger gets new ones; the others keep theirs."""
    before = given(home)
    with socket.create_server(("127.0.0.1", next(iter(before[clashing].values())))):
        after = given(home)
    assert after[clashing] != before[clashing]
    assert [name for name in PURPOSES if after[name] != before[name]] == [clashing]
    assert distinct(home)


@pytest.mark.parametrize("order", [tuple(PURPOSES), tuple(reversed(PURPOSES))])
@pytest.mark.parametrize("twin", [("mongo", "mongo"), ("s3", "filer.port")])
def test_remembered_duplicates_heal(home: Directory, order: Sequence[str], twin: tuple[str, str]) -> None:
    """A file that names a port twice, in two servers or in one, is mended by whoever asks first."""
    memory = given(home)
    memory[twin[0]][twin[1]] = memory["s3"]["master.port.grpc"]
    home.write("ports.json", memory)
    healed = given(home, order)
    assert distinct(home)
    assert given(home) == healed
