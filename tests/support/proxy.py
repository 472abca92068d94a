"""A TCP proxy on loopback that stands before one server: it adds delay, counts flights, breaks links.

    with Proxy("127.0.0.1", 5432, delay=0.0024) as proxy:
        connect(port=proxy.port)            # every round trip now takes 2.4 ms longer
        proxy.cut("to_client")              # questions arrive, their answers do not
        proxy.heal()

It knows no protocol. A *flight* is what a client sends after the server's last word, however many packets
that takes: one flight for each round trip of a protocol of questions and answers.
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
    """Break a link once this many bytes have passed on it in one direction."""

    direction: Direction
    after: int


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.flights = 0
        """Round trips begun, those of the connection's set-up among them."""
        self._proxy, self._client, self._server = proxy, client, server
        self._asking = False
        self._lost_bytes = False
        self._allowance: tuple[_Cut, int] | None = None
        for socket_ in (client, server):
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._questions = threading.Thread(target=self._carry_questions, daemon=True)
        self._answers = threading.Thread(target=self._carry_answers, daemon=True)
        self._questions.start()
        self._answers.start()

    def close(self) -> None:
        """Break the link; both sides see it end."""
        for socket_ in (self._client, self._server):
            with suppress(OSError):
                socket_.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Break the link and wait until nothing moves on it any more."""
        self.close()
        self._answers.join()

    @property
    def lost_bytes(self) -> bool:
        """Whether a black hole has swallowed some of it, so that it can never make sense again."""
        return self._lost_bytes

    def _carry_questions(self) -> None:
        with suppress(OSError):
            while chunk := self._client.recv(_CHUNK):
                if not self._asking:
                    self._asking = True
                    self.flights += 1
                    if self._proxy.delay:
                        time.sleep(self._proxy.delay)
                self._pass("to_server", chunk)
        self.close()

    def _carry_answers(self) -> None:
        with suppress(OSError):
            while chunk := self._server.recv(_CHUNK):
                # before the client can see it, or its next question would count as part of this one
                self._asking = False
                self._pass("to_client", chunk)
        self.close()
        self._questions.join()
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
    """Stands before one server on a loopback port of its own. Thread-safe; listens until it is closed.

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
        """Every connection ever made through the proxy, in their order."""
        return tuple(self._links)

    @property
    def flights(self) -> int:
        """Round trips of all links together. Take the difference of two readings."""
        return sum(link.flights for link in self._links)

    def cut(self, direction: Direction, after: int = 0, *, times: int | None = None) -> None:
        """Break each link after so many more bytes in one direction; `times` links, by default all.

        0 means that a question is never delivered, or that its answer never arrives.
        """
        with self._lock:
            self._cuts_left = times
            self.fault = _Cut(direction, after)

    def blackhole(self) -> None:
        """Accept connections and bytes, and deliver nothing either way."""
        self.fault = "blackhole"

    def refuse(self) -> None:
        """Be a server that is down: break every link, and refuse connections."""
        self._stop_listening()
        for link in self._links:
            link.close()

    def heal(self) -> None:
        """End every fault. Links that have lost bytes break, all others live on."""
        self.fault = None
        for link in self._links:
            if link.lost_bytes:
                link.close()
        if not self._acceptor.is_alive():
            self._listener = _listen(self.port)
            self._acceptor = self._accept()

    def close(self) -> None:
        """Break every link and give the port back."""
        self._stop_listening()
        for link in self._links:
            link.join()

    def was_cut(self, cut: _Cut) -> None:
        """Count a link that a cut has broken, and end the fault after the last one."""
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
        with suppress(OSError):  # it is what wakes a thread in accept()
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
