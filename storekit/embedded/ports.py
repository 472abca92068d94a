"""Free loopback ports, saved so that a restart uses the same ones."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence, Set
from contextlib import ExitStack
from threading import Lock

from storekit.embedded.directory import Directory
from storekit.errors import ConfigurationError

_RANGE = range(20_000, 32_000)
"""Below the range of outgoing connections, which could use a port between two runs."""
_FILE = "ports.json"


class Ports:
    """The ports of a stack by server and purpose, all different."""

    def __init__(self, directory: Directory, is_usable: Callable[[int], bool] = lambda _: True) -> None:
        """Create the ports of a stack, without those that `is_usable` refuses."""
        self._directory = directory
        self._is_usable = is_usable
        self._lock = Lock()

    def known(self, server: str) -> dict[str, int]:
        """Return the saved ports of a server; empty before its first start."""
        return dict(self._directory.read(_FILE).get(server, {}))

    def assign(self, server: str, purposes: Sequence[str]) -> dict[str, int]:
        """Return the saved ports of a server if they are free and not another server's, else new ports."""
        with self._lock:
            saved = self._directory.read(_FILE)
            ports: dict[str, int] = saved.pop(server, {})
            # A port assigned to another server looks free until that server listens.
            others = {port for assigned in saved.values() for port in assigned.values()}
            if set(ports) != set(purposes) or not self._are_usable(list(ports.values()), others):
                ports = dict(zip(purposes, self._choose(len(purposes), others), strict=True))
                self._directory.write(_FILE, {**saved, server: ports})
            return ports

    def _are_usable(self, ports: Sequence[int], others: Set[int]) -> bool:
        distinct = len(set(ports)) == len(ports) and others.isdisjoint(ports)
        return distinct and all(map(_is_free, ports)) and all(map(self._is_usable, ports))

    def _choose(self, count: int, others: Set[int]) -> list[int]:
        # All ports stay bound until the last one is found, so that no port is chosen twice.
        with ExitStack() as bound:
            free = (
                port
                for port in random.sample(_RANGE, len(_RANGE))
                if port not in others
                and self._is_usable(port)
                and _bind(bound.enter_context(socket.socket()), port)
            )
            ports = [port for port, _ in zip(free, range(count), strict=False)]
        if len(ports) < count:
            raise ConfigurationError(
                f"fewer than {count} free ports from {_RANGE.start} to {_RANGE.stop - 1}; stop other programs"
            )
        return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return _bind(probe, port)


def _bind(probe: socket.socket, port: int) -> bool:
    # Servers set SO_REUSEADDR too: a port with connections in TIME_WAIT is free, one with a listener is not.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
