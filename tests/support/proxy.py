"""A TCP proxy on loopback before one server: it adds delay, counts round trips and breaks connections.

    with Proxy("127.0.0.1", 5432, delay=0.0024) as proxy:
        connect(port=proxy.port)            # every round trip now takes 2.4 ms longer
        proxy.cut("to_client")              # requests arrive, their responses do not
        proxy.heal()

It works with any protocol of requests and responses. A *flight* is all that a client sends between two
responses of the server, in any number of packets: one flight is one round trip.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

_CHUNK = 1 << 18

Direction = Literal["to_server", "to_client"]


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """Break a link after this number of bytes in one direction."""

    direction: Direction
    after: int


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.flights = 0
        """Number of round trips, including those that set up the connection."""
        self._proxy, self._client, self._server = proxy, client, server
        self._in_flight = False
        self._lost_bytes = False
        self._allowance: tuple[_Cut, int] | None = None
        for socket_ in (client, server):
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = threading.Thread(target=self._forward_requests, daemon=True)
        self._responses = threading.Thread(target=self._forward_responses, daemon=True)
        self._requests.start()
        self._responses.start()

    def close(self) -> None:
        """Close both sides of the connection."""
        for socket_ in (self._client, self._server):
            with suppress(OSError):
                socket_.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Close the connection and wait until its threads have ended."""
        self.close()
        self._responses.join()

    @property
    def lost_bytes(self) -> bool:
        """Whether bytes were dropped, so that the connection cannot be used any more."""
        return self._lost_bytes

    def _forward_requests(self) -> None:
        with suppress(OSError):
            while chunk := self._client.recv(_CHUNK):
                if not self._in_flight:
                    self._in_flight = True
                    self.flights += 1
                    if self._proxy.delay:
                        time.sleep(self._proxy.delay)
                self._pass("to_server", chunk)
        self.close()

    def _forward_responses(self) -> None:
        with suppress(OSError):
            while chunk := self._server.recv(_CHUNK):
                # before the client receives it: otherwise its next request would count as part of this one
                self._in_flight = False
                self._pass("to_client", chunk)
        self.close()
        self._requests.join()
        self._client.close()
        self._server.close()

    def _pass(self, direction: Direction, chunk: bytes) -> None:
        fault = self._proxy.fault
        if fault == "blackhole":
            self._lost_bytes = True
            return
        target = self._server if direction == "to_server" else self._client
        if not isinstance(fault, _Cut) or fault.direction != direction:
            target.sendall(chunk)
            return
        left = self._allowance[1] if self._allowance and self._allowance[0] is fault else fault.after
        target.sendall(chunk[:left])
        self._allowance = fault, left - len(chunk)
        if left < len(chunk):
            self._proxy.was_cut(fault)
            self.close()


class Proxy:
    """Listens on a loopback port before one server until it is closed. Thread-safe.

    Args:
        delay: seconds added to each flight. It may be changed at any time.
    """

    def __init__(self, target_host: str, target_port: int, delay: float = 0.0) -> None:
        self.delay = delay
        self.fault: _Cut | Literal["blackhole"] | None = None
        self._target = target_host, target_port
        self._links: list[Link] = []
        self._lock = threading.Lock()
        self._cuts_left: int | None = None
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = self._accept()

    @property
    def links(self) -> tuple[Link, ...]:
        """All connections that were made through the proxy, oldest first."""
        return tuple(self._links)

    @property
    def flights(self) -> int:
        """Number of round trips of all links."""
        return sum(link.flights for link in self._links)

    def cut(self, direction: Direction, after: int = 0, *, times: int | None = None) -> None:
        """Break each link after this number of further bytes in one direction; at most `times` links.

        0 means that the next request, or its response, is not delivered.
        """
        with self._lock:
            self._cuts_left = times
            self.fault = _Cut(direction, after)

    def blackhole(self) -> None:
        """Accept connections and bytes, and deliver nothing in either direction."""
        self.fault = "blackhole"

    def refuse(self) -> None:
        """Behave like a server that is down: break every link, and refuse connections."""
        self._stop_listening()
        for link in self._links:
            link.close()

    def heal(self) -> None:
        """End every fault. Links that have lost bytes are broken, all others stay open."""
        self.fault = None
        for link in self._links:
            if link.lost_bytes:
                link.close()
        if not self._acceptor.is_alive():
            self._listener = _listen(self.port)
            self._acceptor = self._accept()

    def close(self) -> None:
        """Break every link and free the port."""
        self._stop_listening()
        for link in self._links:
            link.join()

    def was_cut(self, cut: _Cut) -> None:
        """Count a link that was cut, and end the fault after the last one."""
        with self._lock:
            if self.fault is cut and self._cuts_left is not None:
                self._cuts_left -= 1
                if self._cuts_left <= 0:
                    self.fault = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stop_listening(self) -> None:
        with suppress(OSError):  # shutdown wakes the thread in accept()
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()

    def _accept(self) -> threading.Thread:
        thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        thread.start()
        return thread

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self._links.append(Link(self, client, server))


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=128)
