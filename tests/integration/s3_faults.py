"""An S3 proxy with faults: it forwards to the real server, with one fault for each request."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext
from urllib.parse import urlsplit

Fault = Callable[["Exchange"], None]


class Exchange:
    """One request: what the client sent, and the connection to the real server."""

    def __init__(self, client: socket.socket, upstream: tuple[str, int], over: threading.Event) -> None:
        self.client = client
        self.over = over
        self._upstream = upstream
        self.stream = client.makefile("rb")
        self.head = b"".join(iter(self._line, b"\r\n"))

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def _line(self) -> bytes:
        return self.stream.readline() or b"\r\n"

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def size(self) -> int:
        lengths = [line for line in self.head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return int(lengths[0].partition(b":")[2]) if lengths else 0

    def forward(self) -> bytes:
        """Forward to the real server and read its complete response, which ends its connection."""
        body = self.stream.read(self.size)
        with socket.create_connection(self._upstream) as server:
            server.sendall(self.head + b"Connection: close\r\n\r\n" + body)
            return b"".join(iter(lambda: server.recv(1 << 16), b""))


def passed(exchange: Exchange) -> None:
    """Cause no fault."""
    exchange.client.sendall(exchange.forward())


def reply_lost(exchange: Exchange) -> None:
    """Forward the request; the connection breaks before the reply."""
    exchange.forward()


def request_lost(exchange: Exchange) -> None:
    """Break the connection before the request reaches the server."""
    exchange.stream.read(exchange.size)


def silent(exchange: Exchange) -> None:
    """Send no reply until the client closes the connection."""
    exchange.stream.read(exchange.size)
    exchange.client.recv(1)


def body_not_read(exchange: Exchange) -> None:
    """Do not read the body until the test ends."""
    exchange.over.wait()


def kept_then_closed(exchange: Exchange) -> None:
    """Announce a persistent connection and close it."""
    exchange.client.sendall(exchange.forward().replace(b"Connection: close\r\n", b""))


def error_reply(status: int, code: str, headers: str = "") -> Fault:
    """Reply with an S3 error of the proxy's own, without the server."""
    body = f"<Error><Code>{code}</Code><Message>Try X-Amz-Signature=leak</Message></Error>" if code else ""
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    response = (head + body).encode()

    def fault(exchange: Exchange) -> None:
        exchange.stream.read(exchange.size)
        exchange.client.sendall(response)

    return fault


def refused_early(exchange: Exchange) -> None:
    """Reply after the head of the request and close the connection while the body is being sent."""
    exchange.client.sendall(b"HTTP/1.1 412 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def edited(edit: Callable[[bytes], bytes]) -> Fault:
    """Change the real server's response."""
    return lambda exchange: exchange.client.sendall(edit(exchange.forward()))


class Faults:
    """The faults in order, and the recorded requests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.orders: list[Fault] = []
        self.seen: list[tuple[str, str]] = []

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.seen]


@contextmanager
def faulty(upstream: str, tls: SSLContext | None = None) -> Iterator[Faults]:
    """Run a proxy in front of `upstream`; each connection carries one request and takes the next fault."""
    parts, over = urlsplit(upstream), threading.Event()
    address = (parts.hostname or "", parts.port or 80)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                client = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                with client, Exchange(client, address, over) as exchange:
                    faults.seen.append((exchange.method, exchange.target))
                    (faults.orders.pop(0) if faults.orders else passed)(exchange)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        faults = Faults(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield faults
        finally:
            over.set()
            server.shutdown()
            thread.join()
