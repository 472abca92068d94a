"""Keep-alive HTTP/1.1 connections to one host: no redirects, retries, Expect, proxies or cookies.

Every repeat of an upload must be a decision of the data plane, which knows whether its signature is still
valid. A client library that retries or signs again by itself would make late uploads possible. This client is
also faster: a PUT of 64 KB takes 1.8 ms, and 3.4 ms in boto3, which waits for `100 Continue` first.
"""

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


class ConnectionLost(Exception):
    """The connection broke. The request may have arrived; the response was lost or is incomplete."""


class Response:
    """One response. Closing it returns its connection to the pool, if the body was read to the end."""

    def __init__(self, pool: Connections, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._pool = pool
        self._connection = connection
        self._response = response
        self.status = response.status
        self.length = response.length
        self.headers = response.headers
        self._open = True
        if response.length == 0:
            response.read()  # marks the response as closed, so that the connection can be reused

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; a failure closes the connection.

        Raises:
            Unavailable: no data arrived in time.
            ConnectionLost: the connection broke.
        """
        try:
            return self._response.read(size)
        except TimeoutError as error:
            self.close()
            raise Unavailable(
                "s3", "its response sent no data within timeout (STOREKIT_TIMEOUT)", detail=self._pool.place
            ) from error
        except (OSError, HTTPException) as error:
            self.close()
            raise ConnectionLost(f"its response broke off ({type(error).__name__})") from error

    @cached_property
    def error(self) -> bytes:
        """The body of an error response, at most 64 KB; empty for HEAD."""
        return self.read(_ERROR_BODY)

    @property
    def code(self) -> str:
        """The error code of S3, such as `NoSuchKey`; empty if the body has none."""
        found = _CODE.search(self.error)
        return found[1].decode() if found else ""

    def close(self) -> None:
        """Release the connection. May be called twice."""
        if not self._open:
            return
        self._open = False
        if self._response.isclosed() and not self._response.will_close:
            self._pool.release(self._connection)
        else:
            # Unread bytes would be taken for the response to the next request.
            self._response.close()
            self._connection.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Connections:
    """A pool of connections to one host, which uses the most recent one first.

    Thread-safe without a lock: its only mutable state is a deque, whose operations are atomic.

    Args:
        host: the Host header, exactly as signed.
        timeout: seconds to connect.
        keep: maximum number of idle connections.
    """

    def __init__(self, origin: str, host: str, *, timeout: float, keep: int) -> None:
        parts = urlsplit(origin)
        self._secure = parts.scheme == "https"
        self._name = parts.hostname or ""
        self._port = parts.port
        self._host = host
        self.place = f"{self._name}:{self._port or (443 if self._secure else 80)}"
        """The address for operators; messages do not contain it."""
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
    ) -> Response:
        """Send one request, and return when the head of its response has arrived.

        Raises:
            Unavailable: no connection could be made, or there was no progress for `patience` seconds.
            ConnectionLost: the connection broke, so the request may or may not have arrived.
        """
        # Read the first chunk before taking a connection, so that an unreadable file costs no request.
        chunks = iter(body)
        first = next(chunks, b"")
        connection = self._take()
        try:
            connection.sock.settimeout(patience)
            _send_head(connection, method, target, {"Host": self._host, **headers})
            return Response(self, connection, _send_body(connection, first, chunks))
        except TimeoutError as error:
            connection.close()
            raise Unavailable("s3", f"no progress within {patience:g} s", detail=self.place) from error
        except (OSError, HTTPException) as error:
            connection.close()
            # If the server was restarted, the other idle connections are closed too, and each would cost one
            # try.
            self._drop()
            raise ConnectionLost(f"the connection broke ({type(error).__name__})") from error
        except BaseException:
            connection.close()
            raise

    def release(self, connection: HTTPConnection) -> None:
        """Return a connection for the next request."""
        if len(self._idle) >= self._keep:
            connection.close()
        else:
            self._idle.append(connection)
        if self._closed:  # tested after the append: close() may have run in between
            self._drop()

    def close(self) -> None:
        """Close idle connections now, and those in use when they are released."""
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
                why = f"the certificate of S3_ENDPOINT_URL is not trusted ({error.verify_message})"
                raise ConfigurationError(
                    f"{why}; set SSL_CERT_FILE to the certificate of its authority", detail=self.place
                ) from error
            cause = error.strerror or type(error).__name__
            limit = f" within {self._timeout:g} s, which is timeout (STOREKIT_TIMEOUT)"
            why = f"no connection to S3_ENDPOINT_URL{limit if isinstance(error, TimeoutError) else ''}"
            raise Unavailable("s3", why, detail=f"{self.place}: {cause}") from error
        return connection

    def _new(self) -> HTTPConnection:
        if not self._secure:
            return HTTPConnection(self._name, self._port, timeout=self._timeout)
        return HTTPSConnection(self._name, self._port, timeout=self._timeout, context=self._tls)

    @cached_property
    def _tls(self) -> SSLContext:
        # One context for all connections: loading the system's certificate authorities takes milliseconds.
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
    # S3 may refuse and close the connection before the end of the body; its response may still be readable.
    with suppress(BrokenPipeError, ConnectionResetError):
        _push(connection, first)
        for chunk in rest:
            _push(connection, chunk)
    return connection.getresponse()


def _push(connection: HTTPConnection, chunk: bytes) -> None:
    # Not sendall(): its time-out covers the whole chunk, but a slow connection that makes progress must not
    # fail.
    left = memoryview(chunk)
    while left:
        left = left[connection.sock.send(left) :]
