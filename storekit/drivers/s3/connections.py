"""Keep-alive HTTP/1.1 connections to one host: no redirect, no retry, no Expect, no proxy, no cookie."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from storekit.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from ssl import SSLContext

_ERROR_BODY = 64 << 10
_CODE = re.compile(rb"<Code>([\w.]+)</Code>")


class Lost(Exception):
    """The request may have arrived; its answer did not, or not whole."""


class Answer:
    """One response. Closing it gives its connection back, if nothing of it was left unread."""

    def __init__(self, pool: Connections, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._pool = pool
        self._connection = connection
        self._response = response
        self.status = response.status
        self.length = response.length
        self.headers = response.headers
        self._open = True
        if response.length == 0:
            response.read()  # there is no body, and this tells http.client so

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; a failure closes the connection.

        Raises:
            Unavailable: no byte came in time.
            Lost: the connection broke.
        """
        try:
            return self._response.read(size)
        except TimeoutError as error:
            self.close()
            raise Unavailable("s3", "its answer made no progress") from error
        except (OSError, HTTPException) as error:
            self.close()
            raise Lost(f"its answer broke off ({type(error).__name__})") from error

    @cached_property
    def error(self) -> bytes:
        """The body, as long as an S3 error can be; empty for HEAD."""
        return self.read(_ERROR_BODY)

    @property
    def code(self) -> str:
        """S3's own word for the error; empty when the body holds none."""
        found = _CODE.search(self.error)
        return found[1].decode() if found else ""

    def close(self) -> None:
        """Be done with it; closing twice is harmless."""
        if not self._open:
            return
        self._open = False
        if self._response.isclosed() and not self._response.will_close:
            self._pool.give(self._connection)
        else:
            self._response.close()
            self._connection.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Connections:
    """A pool of connections to one host, the youngest first. Thread-safe: a deque is its whole state.

    `host` is the Host header, as it was signed; `timeout` the seconds to connect; `keep` the most idle ones.
    """

    def __init__(self, origin: str, host: str, *, timeout: float, keep: int) -> None:
        parts = urlsplit(origin)
        self._secure = parts.scheme == "https"
        self._name = parts.hostname or ""
        self._port = parts.port
        self._host = host
        self._timeout = timeout
        self._keep = keep
        self._idle: deque[HTTPConnection] = deque()
        self._closed = False

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Iterable[bytes],
        patience: float,
    ) -> Answer:
        """Send one request over one connection and answer when the response's head has come.

        Raises:
            Unavailable: there is no connection, so nothing was sent; or no progress for `patience` seconds.
            Lost: it was sent, and no answer came.
        """
        chunks = iter(body)
        first = next(chunks, b"")
        connection = self._take()
        try:
            connection.sock.settimeout(patience)
            _send_head(connection, method, target, {"Host": self._host, **headers})
            return Answer(self, connection, _send_body(connection, first, chunks))
        except TimeoutError as error:
            connection.close()
            raise Unavailable("s3", f"no progress within {patience:g} s") from error
        except (OSError, HTTPException) as error:
            connection.close()
            # The others are as old as this one: a restarted server has closed them all.
            self._drop()
            raise Lost(f"the connection broke ({type(error).__name__})") from error
        except BaseException:
            connection.close()
            raise

    def give(self, connection: HTTPConnection) -> None:
        """Take a connection back for the next request."""
        if len(self._idle) >= self._keep:
            connection.close()
        else:
            self._idle.append(connection)
        if self._closed:
            self._drop()

    def close(self) -> None:
        """Close what is idle now, and what is in use as soon as it comes back."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:  # another thread took the last one
                return

    def _take(self) -> HTTPConnection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> HTTPConnection:
        connection = self._new()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            from ssl import SSLCertVerificationError

            if isinstance(error, SSLCertVerificationError):
                why = f"the certificate of {self._host} is not trusted ({error.verify_message})"
                raise ConfigurationError(f"{why}; point SSL_CERT_FILE at its authority") from error
            why = f"no connection to {self._host} ({error.strerror or type(error).__name__})"
            raise Unavailable("s3", why) from error
        return connection

    def _new(self) -> HTTPConnection:
        if not self._secure:
            return HTTPConnection(self._name, self._port, timeout=self._timeout)
        return HTTPSConnection(self._name, self._port, timeout=self._timeout, context=self._tls)

    @cached_property
    def _tls(self) -> SSLContext:
        # One context for all connections: loading the system's authorities takes milliseconds.
        from ssl import create_default_context

        context = create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


def _send_head(connection: HTTPConnection, method: str, target: str, headers: Mapping[str, str]) -> None:
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()


def _send_body(connection: HTTPConnection, first: bytes, rest: Iterator[bytes]) -> HTTPResponse:
    # S3 may refuse and hang up before the body's end; its answer tells why, if it can still be read.
    with suppress(BrokenPipeError, ConnectionResetError):
        _push(connection, first)
        for chunk in rest:
            _push(connection, chunk)
    return connection.getresponse()


def _push(connection: HTTPConnection, chunk: bytes) -> None:
    # Not sendall(): its time-out is for the whole chunk, and a slow link that moves on is no failure.
    left = memoryview(chunk)
    while left:
        left = left[connection.sock.send(left) :]
