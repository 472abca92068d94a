"""Try to use listening sockets as another user of the machine, without a credential.

    python intruder.py UID

Each line of standard input is a JSON list of addresses: a port of 127.0.0.1 (a number) or the path of a Unix
socket (a string). Each line of standard output is a JSON list of what was given away: address, request and
reply.

It uses the standard library only, and imports everything before it becomes the other user, who may not be
able to read the files of this interpreter.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

_PATIENCE = 2.0
_SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
_READS = (
    *(
        "/",
        "/?pretty=y",
        "/buckets/",
        "/buckets/storekit/?limit=9",
        "/storekit",
        "/storekit/",
        "/storekit/known",
    ),
    *("/dir/status", "/dir/assign", "/dir/lookup?volumeId=1", "/cluster/status", "/vol/status", "/col/list"),
    *("/status", "/stats/disk", "/stats/memory", "/ui/index.html", "/metrics", "/debug/pprof/", "/health"),
    *("/api/cluster/topology", "/object-store/buckets", "/.well-known/", "/1,01"),
)
_WRITES = (
    *(
        ("PUT", "/storekit/stolen"),
        ("POST", "/buckets/storekit/stolen"),
        ("DELETE", "/buckets/storekit/known"),
    ),
    *(("POST", "/vol/grow?count=1"), ("DELETE", "/storekit/known"), ("POST", "/submit"), ("POST", "/1,01")),
    *(("POST", "/?Action=CreateUser&UserName=i&Version=2010-05-08"), ("PUT", "/stolen-bucket")),
)
_DOCUMENTS: tuple[dict[str, object], ...] = (
    {"listDatabases": 1, "$db": "admin"},
    {"find": "kept", "$db": "storekit"},
    {"usersInfo": {"forAllDBs": True}, "$db": "admin"},
    {"createUser": "intruder", "pwd": "x", "roles": [{"role": "root", "db": "admin"}], "$db": "admin"},
    {"createUser": "intruder", "pwd": "x", "roles": [{"role": "root", "db": "admin"}], "$db": "elsewhere"},
    {"insert": "kept", "documents": [{"stolen": 1}], "$db": "storekit"},
    {"getLog": "global", "$db": "admin"},
    {"serverStatus": 1, "$db": "admin"},
)


def bson(document: dict[str, object]) -> bytes:
    body = b"".join(_element(name.encode(), value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(name: bytes, value: object) -> bytes:
    if isinstance(value, bool):
        return b"\x08" + name + b"\0" + bytes([value])
    if isinstance(value, int):
        return b"\x10" + name + b"\0" + struct.pack("<i", value)
    if isinstance(value, str):
        return b"\x02" + name + b"\0" + struct.pack("<i", len(value) + 1) + value.encode() + b"\0"
    if isinstance(value, list):
        return b"\x04" + name + b"\0" + bson({str(index): each for index, each in enumerate(value)})
    assert isinstance(value, dict)
    return b"\x03" + name + b"\0" + bson(value)


def _http(method: str, path: str) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        "Content-Length: 6\r\nConnection: close\r\n\r\nstolen"
    ).encode()


def _of_http(reply: bytes) -> bool:
    """Return whether HTTP was answered with a body, which is not that of an error."""
    found = re.match(rb"HTTP/1\.[01] ([23]\d\d) .*?\r\n\r\n(.*)", reply, re.DOTALL)
    return bool(found and found[2].strip(b"0\r\n"))


def _of_write(reply: bytes) -> bool:
    return bool(re.match(rb"HTTP/1\.[01] [23]\d\d ", reply))


def _of_http2(reply: bytes) -> bool:
    """Return whether a server accepted HTTP/2, so gRPC: its first frame is SETTINGS."""
    return len(reply) >= 9 and reply[3] == 4


def _of_mongo(reply: bytes) -> bool:
    found = re.search(rb"\x01ok\0(.{8})", reply, re.DOTALL)
    return bool(found and struct.unpack("<d", found[1])[0] == 1)


def _of_postgres(reply: bytes) -> bool:
    """Return whether PostgreSQL let the user in without a password: AuthenticationOk."""
    return reply.startswith(b"R\0\0\0\x08\0\0\0\0")


def _of_supervisor(reply: bytes) -> bool:
    return reply.startswith(b"{")


Judge = Callable[[bytes], bool]


def _requests() -> Iterator[tuple[str, bytes, Judge]]:
    for path in _READS:
        yield f"GET {path}", _http("GET", path), _of_http
    for method, path in _WRITES:
        yield f"{method} {path}", _http(method, path), _of_write
    yield "HTTP/2", _PREFACE, _of_http2
    for number, document in enumerate(_DOCUMENTS):
        body = struct.pack("<iB", 0, 0) + bson(document)
        yield str(document), struct.pack("<iiii", len(body) + 16, number, 0, 2013) + body, _of_mongo
    for user in ("postgres", "storekit_admin", "storekit_app_login"):
        words = b"\0".join((b"user", user.encode(), b"database", b"postgres", b"", b""))
        yield f"login {user}", struct.pack(">ii", len(words) + 8, 196608) + words, _of_postgres
    yield "supervisor", b'{"do": "status"}\n', _of_supervisor


def _connect(address: int | str) -> socket.socket:
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address), _PATIENCE)
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(_PATIENCE)
    link.connect(address)
    return link


def _over_tls(link: socket.socket, alpn: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    return context.wrap_socket(link)


def _ask(address: int | str, request: bytes, judge: Judge, *, tls: bool) -> bytes | None:
    """Return the reply; None if the server said nothing until the patience was over.

    Raises:
        ssl.SSLError: the server speaks no TLS, or refuses a client without a certificate.
    """
    reply = b""
    try:
        with _connect(address) as plain:
            link = _over_tls(plain, "h2" if judge is _of_http2 else "http/1.1") if tls else plain
            link.sendall(request)
            if judge not in (_of_http, _of_write) and not tls:
                # An HTTP server drops the request of a client that ends; the others would wait for more.
                link.shutdown(socket.SHUT_WR)
            while received := link.recv(65536):
                reply += received
                if judge is not _of_http and judge(reply):
                    break
    except TimeoutError:
        return reply or None
    except ssl.SSLError:
        if not reply:
            raise
    except OSError:  # refused, or reset
        return reply
    return reply


def _given_away(address: int | str) -> Iterator[tuple[int | str, str, str]]:
    yield from _over(address, tls=False)
    with suppress(ssl.SSLError):
        yield from _over(address, tls=True)


def _over(address: int | str, *, tls: bool) -> Iterator[tuple[int | str, str, str]]:
    silent: set[Judge] = set()
    for name, request, judge in _requests():
        if judge in silent:
            continue  # a server that says nothing to one request speaks another protocol
        reply = _ask(address, request, judge, tls=tls)
        if reply is None:
            silent.add(judge)
        elif judge(reply):
            yield address, f"{name} over TLS" if tls else name, reply[:300].decode(errors="replace")


def main(uid: int) -> None:
    "localhost".encode("idna")
    if os.geteuid() != uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    for line in sys.stdin:
        print(json.dumps([each for address in json.loads(line) for each in _given_away(address)]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
