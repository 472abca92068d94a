"""What an upload or a read does when the link or the server fails, with the real server behind."""

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
    answer_lost,
    answered,
    deaf,
    edited,
    faulty,
    kept_then_closed,
    passed,
    refused_early,
    request_lost,
    silent,
)
from tests.integration.s3_parts import at, data_plane, ref, upload

BUSY = answered(503, "SlowDown")


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
        (answer_lost, ["PUT", "PUT", "HEAD"]),
        (request_lost, ["PUT", "PUT"]),
        (BUSY, ["PUT", "PUT"]),
        (answered(409, "ConditionalRequestConflict"), ["PUT", "PUT"]),
        (answered(400, "RequestTimeout"), ["PUT", "PUT"]),
        (answered(200, "InternalError"), ["PUT", "PUT"]),
    ],
    ids=["answer lost", "request lost", "503", "409", "request time-out", "200 with error"],
)
def test_an_upload_outlives_one_fault(
    plane: DataPlane, faults: Faults, fault: Fault, methods: list[str]
) -> None:
    """An upload is repeated on the very same URL, and answers the one version there is."""
    put = upload(os.urandom(100_000))
    faults.orders = [fault]
    version = plane.put(put)
    assert faults.methods == methods
    assert len({target for method, target in faults.seen if method == "PUT"}) == 1
    assert plane.get(ref(put, version)).read() == put.source.open().read()


@pytest.mark.parametrize("fault", [BUSY, request_lost, answer_lost], ids=["503", "request", "answer"])
def test_an_upload_gives_up_after_three_tries(plane: DataPlane, faults: Faults, fault: Fault) -> None:
    """Three tries, then the store is unavailable."""
    faults.orders = [BUSY, fault, BUSY]
    with pytest.raises(Unavailable, match="tried 3 times"):
        plane.put(upload())
    assert faults.methods == ["PUT"] * 3


def test_nothing_is_sent_again_after_the_lease(
    plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeat after the signature's end could only be refused, so it is not made."""
    clock = [0.0]
    monkeypatch.setattr(dataplane, "monotonic", lambda: clock[0])

    def late(_: object) -> None:
        clock[0] = 60.0

    faults.orders = [late]
    with pytest.raises(Unavailable, match="tried 1 times"):
        plane.put(upload(lease=timedelta(seconds=60)))
    assert faults.methods == ["PUT"]


def test_a_terse_refusal_after_the_lease_is_lost_too(
    plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that says no more than AccessDenied is understood by the lease's own time."""
    clock = [0.0]
    monkeypatch.setattr(dataplane, "monotonic", lambda: clock[0])

    def late(exchange: object) -> None:
        clock[0] = 60.0
        answered(403, "AccessDenied")(exchange)  # type: ignore[arg-type]  # it is an Exchange

    faults.orders = [answered(403, "AccessDenied"), late]
    with pytest.raises(ConfigurationError, match="403 AccessDenied"):
        plane.put(upload())
    with pytest.raises(WriteLost):
        plane.put(upload())


def test_expired_credentials_are_not_an_expired_lease(plane: DataPlane, faults: Faults) -> None:
    """S3's word for a stale session token leads to the credentials, not to another upload."""
    faults.orders = [answered(400, "ExpiredToken")]
    with pytest.raises(ConfigurationError, match="ExpiredToken"):
        plane.put(upload())


def test_a_body_that_takes_too_long_is_given_up(
    plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try ends by the clock even if it moves on: a sweep relies on that."""
    monkeypatch.setattr(dataplane, "LONGEST_PUT", -1e6)
    with pytest.raises(Unavailable, match="were not sent within"):
        plane.put(upload(os.urandom(1 << 20)))


@pytest.mark.parametrize(("fault", "size"), [(silent, 10), (deaf, 32 << 20)], ids=["answer", "body"])
def test_an_upload_without_progress_fails(
    plane: DataPlane, faults: Faults, monkeypatch: pytest.MonkeyPatch, fault: Fault, size: int
) -> None:
    """An upload that hangs, in its body or before its answer, fails and is not repeated."""
    monkeypatch.setattr(dataplane, "PUT_PATIENCE", 0.2)
    faults.orders = [fault]
    with pytest.raises(Unavailable, match=r"no progress within 0\.2 s"):
        plane.put(upload(bytes(size)))
    assert faults.methods == ["PUT"]


def test_an_early_refusal_is_heard(plane: DataPlane, faults: Faults) -> None:
    """S3 may answer and hang up while the body is on its way; what it said still counts."""
    faults.orders = [refused_early]
    with pytest.raises(WriteLost, match="removed by a sweep"):
        plane.put(upload(bytes(16 << 20)))
    assert faults.methods[-1] == "HEAD"


def test_a_store_without_checksums_is_read(plane: DataPlane, faults: Faults) -> None:
    """Where HEAD tells no checksum, the bytes under the key decide."""
    bare = edited(lambda response: response.replace(b"X-Amz-Checksum-Sha256", b"X-Nothing"))
    put = upload()
    faults.orders = [answer_lost, passed, bare]
    version = plane.put(put)
    assert faults.methods == ["PUT", "PUT", "HEAD", "GET"]
    faults.orders = [passed, bare]
    with pytest.raises(Corrupt):
        plane.put(upload(b"#ho!", key=put.key))
    assert plane.put(put) == version


def test_a_closed_connection_is_replaced(plane: DataPlane, faults: Faults) -> None:
    """Any number of connections that a server closed while they were idle cost one repeat."""
    put = upload()
    found = ref(put, plane.put(put))
    faults.orders = [kept_then_closed] * 6
    for stream in [plane.get(found) for _ in range(6)]:
        assert stream.read() == b"# hi"
    assert plane.get(found).read() == b"# hi"


def test_a_version_that_is_none_is_refused(plane: DataPlane, faults: Faults) -> None:
    """Bytes put while versioning is suspended can be overwritten, so they are never committed."""
    faults.orders = [edited(lambda response: re.sub(rb"(X-Amz-Version-Id): \w+", rb"\1: null", response))]
    with pytest.raises(ConfigurationError, match="not versioned"):
        plane.put(upload())


def test_a_redirect_is_not_followed(plane: DataPlane, faults: Faults) -> None:
    """Bytes go to the endpoint that was configured, or nowhere."""
    faults.orders = [answered(307, "TemporaryRedirect", f"Location: {faults.url}/elsewhere\r\n")]
    with pytest.raises(ConfigurationError, match="S3_ENDPOINT_URL and AWS_REGION"):
        plane.put(upload())
    assert faults.methods == ["PUT"]


@pytest.mark.parametrize("method", ["put", "get"])
def test_nobody_listening_is_unavailable(s3: Settings, method: str) -> None:
    """A refused connection is told at once."""
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
        ([BUSY, answer_lost, passed], None, ""),
        ([BUSY, BUSY, BUSY], Unavailable, "503 SlowDown; tried 3 times"),
        ([silent], Unavailable, "no progress"),
        ([answered(307, "")], ConfigurationError, "307"),
        ([answered(405, "MethodNotAllowed")], Corrupt, "405"),
        ([answered(400, "ExpiredToken")], ConfigurationError, "ExpiredToken"),
        ([answered(404, "")], ConfigurationError, "404"),
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
def test_a_read_tells_faults_apart(
    plane: DataPlane, faults: Faults, orders: list[Fault], error: type[Exception] | None, message: str
) -> None:
    """A link that fails is unavailable, bytes that are wrong are corrupt, and neither is ever handed out."""
    put = upload(os.urandom(10_000))
    found = ref(put, plane.put(put))
    faults.orders = orders
    read: Callable[[], bytes] = lambda: plane.get(found).read()  # noqa: E731 it is called in two ways
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
    """Over https a server is believed only by a certificate that is trusted here."""
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
