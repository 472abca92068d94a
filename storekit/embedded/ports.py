"""Free loopback ports, remembered so that a restart finds the same ones."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence, Set
from contextlib import ExitStack
from threading import Lock

from storekit.embedded.directory import Home
from storekit.errors import ConfigurationError

_RANGE = range(20_000, 32_000)
"""Below the ports that kernels give to outgoing connections, which could take one between two runs."""
_MEMORY = "ports.json"


class Ports:
    """The ports of a stack by server and purpose, no two the same."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._turn = Lock()

    def known(self, server: str) -> dict[str, int]:
        """Recall a server's ports; empty before its first start."""
        return dict(self._home.read(_MEMORY).get(server, {}))

    def give(self, server: str, purposes: Sequence[str]) -> dict[str, int]:
        """Choose a server's ports: its old ones where all are free and its alone, else new ones."""
        with self._turn:
            memory = self._home.read(_MEMORY)
            ports: dict[str, int] = memory.pop(server, {})
            # A port that another server was given looks free until that one listens.
            others = {port for given in memory.values() for port in given.values()}
            if set(ports) != set(purposes) or not _fit(list(ports.values()), others):
                ports = dict(zip(purposes, _choose(len(purposes), others), strict=True))
                self._home.write(_MEMORY, {**memory, server: ports})
            return ports


def _fit(ports: Sequence[int], others: Set[int]) -> bool:
    return len(set(ports)) == len(ports) and others.isdisjoint(ports) and all(map(_is_free, ports))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return _bind(probe, port)


def _choose(count: int, others: Set[int]) -> list[int]:
    # All stay bound until the last is found, so that no two are the same.
    with ExitStack() as bound:
        free = (
            port
            for port in random.sample(_RANGE, len(_RANGE))
            if port not in others and _bind(bound.enter_context(socket.socket()), port)
        )
        ports = [port for port, _ in zip(free, range(count), strict=False)]
    if len(ports) < count:
        raise ConfigurationError(f"no {count} free ports from {_RANGE.start} to {_RANGE.stop - 1}; free some")
    return ports


def _bind(probe: socket.socket, port: int) -> bool:
    # As servers bind: an address whose old connections still fade is free, one that is listened on is not.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
