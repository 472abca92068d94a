"""Uploads and reads while the connection or the server fails, with the real server behind a proxy."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from storekit.drivers.s3 import dataplane
from storekit.drivers.s3.dataplane import DataPlane
from storekit.errors import ConfigurationError, Corrupt, Unavailable, WriteLost
from storekit.settings import Settings
from tests.integration.s3_faults import (
    Fault,
    Faults,
    body_not_read,
    edited,
    error_reply,
    faulty,
    kept_then_closed,
    passed,
    refused_early,
    reply_lost,
    request_lost,
    silent,
)
from tests.integration.s3_parts import at, data_plane, ref, upload

BUSY = error_reply(503, "SlowDown")


@pytest.fixture
def faults(s3: Settings) -> Iterator[Faults]:
    with faulty(str(s3.s3_endpoint_url)) as faults:
        yield faults


@pytest.fixture
def plane(s3: Settings, faults: Faults) -> Iterator[DataPlane]:
    plane = data_plane(at(s3, s3_endpoint_url=faults.url), timeout=0.3)
    yield plane
    plane.close()


@pytest.mark.parametrize(
    ("fault", "methods"),
    [
        (reply_lost, ["PUT", "PUT", "HEAD"]),
        (request_lost, ["PUT", "PUT"]),
        (BUSY, ["PUT", "PUT"]),
        (error_reply(409, "ConditionalRequestConflict"), ["PUT", "PUT"]),
        (error_reply(400, "RequestTimeout"), ["PUT", "PUT"]),
        (error_reply(200, "InternalError"), ["PUT", "PUT"]),
    ],
    ids=["reply lost", "request lost", "503", "409", "request time-out", "200 with error"],
)
def test_an_upload_survives_one_fault(
    plane: DataPlane, faults: Faults, fault: Fault, methods: list[str]
) -> None:
    """An upload is repeated with the same URL, and returns the only version."""
    put = upload(os.urandom(100_000))
    faults.orders = [fault]
    version = plane.put(put)
    assert faults.methods == methods
    assert len({target for method, target in faults.seen if method == "PUT"}) == 1
    assert plane.get(ref(put, version)).read() == put.source.open().read()


@pytest.mark.parametrize("fault", [BUSY, request_lost, reply_lost], ids=["503", "request", "reply"])
def test_an_upload_gives_up_after_three_tries(plane: DataPlane, faults: Faults, fault: Fault) -> None:
    """After three attempts an upload raises Unavailable."""
    faults.orders = [BUSY, fault, BUSY]
    with pytest.raises(Unavailable, match="tried 3 times"):
        plane.put(upload())
    assert faults.methods == ["PUT"] * 3


def test_no_retry_after_the_lease(plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload is not repeated after its signature expired, because S3 would refuse it."""
    clock = [0.0]
    monkeypatch.setattr(dataplane, "monotonic", lambda: clock[0])

    def late(_: object) -> None:
        clock[0] = 60.0

    faults.orders = [late]
    with pytest.raises(Unavailable, match="tried 1 times"):
        plane.put(upload(lease=timedelta(seconds=60)))
    assert faults.methods == ["PUT"]


def test_access_denied_after_the_lease_is_a_lost_lease(
    plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a store says only AccessDenied, the expiry of the lease decides."""
    clock = [0.0]
    monkeypatch.setattr(dataplane, "monotonic", lambda: clock[0])

    def late(exchange: object) -> None:
        clock[0] = 60.0
        error_reply(403, "AccessDenied")(exchange)  # type: ignore[arg-type]  # it is an Exchange

    faults.orders = [error_reply(403, "AccessDenied"), late]
    with pytest.raises(ConfigurationError, match="403 AccessDenied"):
        plane.put(upload())
    with pytest.raises(WriteLost):
        plane.put(upload())


def test_expired_credentials_are_not_an_expired_lease(plane: DataPlane, faults: Faults) -> None:
    """An expired session token raises a ConfigurationError, and no second upload is made."""
    faults.orders = [error_reply(400, "ExpiredToken")]
    with pytest.raises(ConfigurationError, match="ExpiredToken"):
        plane.put(upload())


def test_a_slow_upload_is_abandoned(
    plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt ends at its deadline even if it makes progress, because the sweep relies on that."""
    monkeypatch.setattr(dataplane, "LONGEST_PUT", -1e6)
    with pytest.raises(Unavailable, match="were not sent within"):
        plane.put(upload(os.urandom(1 << 20)))


@pytest.mark.parametrize(("fault", "size"), [(silent, 10), (body_not_read, 32 << 20)], ids=["reply", "body"])
def test_an_upload_without_progress_fails(
    plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch, fault: Fault, size: int
) -> None:
    """An upload that stalls, in its body or before its response, fails and is not repeated."""
    monkeypatch.setattr(dataplane, "PUT_PATIENCE", 0.2)
    faults.orders = [fault]
    with pytest.raises(Unavailable, match=r"no progress within 0\.2 s"):
        plane.put(upload(bytes(size)))
    assert faults.methods == ["PUT"]


def test_an_early_error_response_is_read(plane: DataPlane, faults: Faults) -> None:
    """If S3 responds and closes while the body is being sent, its response is still used."""
    faults.orders = [refused_early]
    with pytest.raises(WriteLost, match="removed by a sweep"):
        plane.put(upload(bytes(16 << 20)))
    assert faults.methods[-1] == "HEAD"


def test_a_store_without_checksums_is_downloaded(plane: DataPlane, faults: Faults) -> None:
    """If HEAD returns no checksum, the stored bytes are downloaded and compared."""
    bare = edited(lambda response: response.replace(b"X-Amz-Checksum-Sha256", b"X-Nothing"))
    put = upload()
    faults.orders = [reply_lost, passed, bare]
    version = plane.put(put)
    assert faults.methods == ["PUT", "PUT", "HEAD", "GET"]
    faults.orders = [passed, bare]
    with pytest.raises(Corrupt):
        plane.put(upload(b"#ho!", key=put.key))
    assert plane.put(put) == version


def test_a_closed_connection_is_replaced(plane: DataPlane, faults: Faults) -> None:
    """Any number of connections that a server closed while idle cost one retry."""
    put = upload()
    found = ref(put, plane.put(put))
    faults.orders = [kept_then_closed] * 6
    for stream in [plane.get(found) for _ in range(6)]:
        assert stream.read() == b"# hi"
    assert plane.get(found).read() == b"# hi"


def test_a_null_version_is_refused(plane: DataPlane, faults: Faults) -> None:
    """An object without a version can be overwritten, so it is never committed."""
    faults.orders = [edited(lambda response: re.sub(rb"(X-Amz-Version-Id): \w+", rb"\1: null", response))]
    with pytest.raises(ConfigurationError, match="not versioned"):
        plane.put(upload())


def test_a_redirect_is_not_followed(plane: DataPlane, faults: Faults) -> None:
    """Bytes are sent to the configured endpoint only."""
    faults.orders = [error_reply(307, "TemporaryRedirect", f"Location: {faults.url}/elsewhere\r\n")]
    with pytest.raises(ConfigurationError, match="S3_ENDPOINT_URL and AWS_REGION"):
        plane.put(upload())
    assert faults.methods == ["PUT"]


@pytest.mark.parametrize("method", ["put", "get"])
def test_a_refused_connection_is_unavailable(s3: Settings, method: str) -> None:
    """A refused connection raises Unavailable at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    plane = data_plane(at(s3, s3_endpoint_url=f"http://127.0.0.1:{port}"))
    argument = upload() if method == "put" else ref(upload(), "0")
    with pytest.raises(Unavailable, match="Connection refused") as caught:
        getattr(plane, method)(argument)
    assert caught.value.retryable
    plane.close()


@pytest.mark.parametrize(
    ("orders", "error", "message"),
    [
        ([BUSY, reply_lost, passed], None, ""),
        ([BUSY, BUSY, BUSY], Unavailable, "503 SlowDown; tried 3 times"),
        ([silent], Unavailable, "no progress"),
        ([error_reply(307, "")], ConfigurationError, "307"),
        ([error_reply(405, "MethodNotAllowed")], Corrupt, "405"),
        ([error_reply(400, "ExpiredToken")], ConfigurationError, "ExpiredToken"),
        ([error_reply(404, "")], ConfigurationError, "404"),
        ([edited(lambda response: response[:-5])], Unavailable, "after 9995 of 10000"),
        ([edited(lambda response: response[:-1] + bytes([response[-1] ^ 1]))], Corrupt, "sha256"),
        ([edited(lambda response: response.replace(b"h: 10000", b"h: 9999"))], Corrupt, "9999 bytes"),
    ],
    ids=[
        "one fault",
        "busy",
        "silent",
        "redirect",
        "marker",
        "token",
        "stranger",
        "cut",
        "flipped bit",
        "short",
    ],
)
def test_reads_distinguish_unavailable_and_corrupt(
    plane: DataPlane, faults: Faults, orders: list[Fault], error: type[Exception] | None, message: str
) -> None:
    """A failing connection raises Unavailable, wrong bytes raise Corrupt, and neither returns bytes."""
    put = upload(os.urandom(10_000))
    found = ref(put, plane.put(put))
    faults.orders = orders
    read: Callable[[], bytes] = lambda: plane.get(found).read()  # noqa: E731 one of two kinds of call
    if error is None:
        assert read() == put.source.open().read()
        return
    with pytest.raises(error, match=message) as caught:
        read()
    assert "X-Amz" not in str(caught.value)


def _certificate(directory: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1 and its key into one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "storekit test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    pem = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "certificate.pem"
    path.write_bytes(pem.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_tls_is_verified(s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An https endpoint must have a certificate that is trusted on this machine."""
    certificate = _certificate(tmp_path)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    put = upload(os.urandom(600_000))
    with faulty(str(s3.s3_endpoint_url), context) as faults:
        secure = at(s3, s3_endpoint_url=faults.url)
        stranger = data_plane(secure)
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
            stranger.put(put)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusting = data_plane(secure)
        assert trusting.get(ref(put, trusting.put(put))).read() == put.source.open().read()
        stranger.close()
        trusting.close()
