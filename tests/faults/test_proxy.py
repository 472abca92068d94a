"""The fault proxy counts, delays and breaks connections; it is tested with an echo server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echoing = threading.Thread(target=_echo, args=(listener,))
        echoing.start()
        with Proxy("127.0.0.1", listener.getsockname()[1]) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        echoing.join()


def _echo(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_echo_one, args=(client,)).start()


def _echo_one(client: socket.socket) -> None:
    with client, suppress(OSError):
        while chunk := client.recv(1 << 16):
            client.sendall(chunk)


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def _ask(client: socket.socket, request: bytes = b"request") -> bytes:
    client.sendall(request)
    with suppress(ConnectionResetError):
        return client.recv(1 << 16)
    return b""


def test_round_trips_are_counted_and_delayed(proxy: Proxy) -> None:
    """Each round trip counts as one flight of its link and is delayed once."""
    with _connect(proxy) as one, _connect(proxy) as other:
        assert [_ask(one), _ask(one), _ask(other)] == [b"request"] * 3
        proxy.delay = 0.05
        began = time.monotonic()
        assert _ask(other) == b"request"
        assert time.monotonic() - began >= 0.05
    assert [link.flights for link in proxy.links] == [2, 2]
    assert proxy.flights == 4


def test_a_cut_breaks_a_link_after_some_bytes(proxy: Proxy) -> None:
    """The first bytes of a cut reply arrive; after the last cut new links work."""
    with _connect(proxy) as cut, _connect(proxy) as whole:
        proxy.cut("to_client", after=3, times=1)
        assert _ask(cut) == b"req"
        assert cut.recv(1) == b""
        assert _ask(whole) == b"request"


def test_a_cut_request_does_not_arrive(proxy: Proxy) -> None:
    """A cut towards the server loses the request and its reply, on every link until healed."""
    proxy.cut("to_server")
    for _ in range(2):
        with _connect(proxy) as client:
            assert _ask(client) == b""
    proxy.heal()
    with _connect(proxy) as client:
        assert _ask(client) == b"request"


def test_a_refusing_proxy_is_down_until_healed(proxy: Proxy) -> None:
    """Links break and connections are refused; once healed, it listens on the same port."""
    with _connect(proxy) as client:
        assert _ask(client) == b"request"
        proxy.refuse()
        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
    proxy.heal()
    with _connect(proxy) as client:
        assert _ask(client) == b"request"


def test_a_black_hole_drops_all_bytes(proxy: Proxy) -> None:
    """Bytes are dropped silently; once healed, the links that lost bytes are broken."""
    with _connect(proxy) as client:
        proxy.blackhole()
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            _ask(client)
        proxy.heal()
        assert client.recv(1) == b""
