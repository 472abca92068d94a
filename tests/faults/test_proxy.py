"""The proxy itself: what it counts, delays and breaks, before a server that echoes."""

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


def _ask(client: socket.socket, question: bytes = b"question") -> bytes:
    client.sendall(question)
    with suppress(ConnectionResetError):
        return client.recv(1 << 16)
    return b""


def test_a_flight_is_counted_and_delayed_once(proxy: Proxy) -> None:
    """Each round trip is one flight of its link and takes the delay longer."""
    with _connect(proxy) as one, _connect(proxy) as other:
        assert [_ask(one), _ask(one), _ask(other)] == [b"question"] * 3
        proxy.delay = 0.05
        began = time.monotonic()
        assert _ask(other) == b"question"
        assert time.monotonic() - began >= 0.05
    assert [link.flights for link in proxy.links] == [2, 2]
    assert proxy.flights == 4


def test_a_cut_breaks_a_link_after_so_many_bytes(proxy: Proxy) -> None:
    """Of an answer that is cut the first bytes arrive; after the last cut new links are whole."""
    with _connect(proxy) as cut, _connect(proxy) as whole:
        proxy.cut("to_client", after=3, times=1)
        assert _ask(cut) == b"que"
        assert cut.recv(1) == b""
        assert _ask(whole) == b"question"


def test_a_question_that_is_cut_never_arrives(proxy: Proxy) -> None:
    """A cut to the server loses the question, and with it the answer, on every link until it is healed."""
    proxy.cut("to_server")
    for _ in range(2):
        with _connect(proxy) as client:
            assert _ask(client) == b""
    proxy.heal()
    with _connect(proxy) as client:
        assert _ask(client) == b"question"


def test_a_refusing_server_is_down_until_it_is_healed(proxy: Proxy) -> None:
    """Links break, connections are refused; healed, it listens on the same port."""
    with _connect(proxy) as client:
        assert _ask(client) == b"question"
        proxy.refuse()
        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
    proxy.heal()
    with _connect(proxy) as client:
        assert _ask(client) == b"question"


def test_a_black_hole_answers_nothing_and_its_links_never_make_sense_again(proxy: Proxy) -> None:
    """Bytes vanish without a word; when it is healed the links that lost some break."""
    with _connect(proxy) as client:
        proxy.blackhole()
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            _ask(client)
        proxy.heal()
        assert client.recv(1) == b""
