"""PUT, GET and signed URLs on a real S3 server."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

import pytest

from storekit import ids
from storekit.drivers.s3.connections import Connections
from storekit.drivers.s3.control import _client
from storekit.drivers.s3.dataplane import DataPlane
from storekit.drivers.s3.download import CHUNK
from storekit.errors import (
    ConfigurationError,
    Corrupt,
    UsageError,
    ValidationError,
    WriteLost,
)
from storekit.ports.stores import BlobRef
from storekit.settings import Settings
from tests.integration.s3_parts import Measured, at, data_plane, ref, upload

T = TypeVar("T")


@pytest.fixture
def plane(s3: Settings) -> Iterator[DataPlane]:
    plane = data_plane(s3)
    yield plane
    plane.close()


def versions(settings: Settings, key: str) -> list[str]:
    client = _client(settings)
    found = client.list_object_versions(Bucket=str(settings.s3_bucket), Prefix=key)
    client.close()
    return [version["VersionId"] for version in found.get("Versions", [])]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3_000_000])
def test_content_round_trips(plane: DataPlane, size: int) -> None:
    """Content of any size, including none, is read back by its VersionId."""
    put = upload(os.urandom(size))
    assert plane.get(ref(put, plane.put(put))).read() == put.source.open().read()


def test_repeating_an_upload_creates_no_version(s3: Settings, plane: DataPlane) -> None:
    """Uploading the same content again succeeds and creates no second version."""
    put = upload()
    first = plane.put(put)
    assert plane.put(put) == first
    assert versions(s3, put.key) == [first]


def test_different_content_under_the_key_is_corrupt(plane: DataPlane) -> None:
    """A key with different content raises Corrupt and is never overwritten."""
    put = upload(b"one")
    version = plane.put(put)
    with pytest.raises(Corrupt):
        plane.put(upload(b"two", key=put.key))
    assert plane.get(ref(put, version)).read() == b"one"


def test_an_upload_after_its_lease_is_lost(s3: Settings, plane: DataPlane) -> None:
    """S3 refuses an upload whose lease has expired."""
    put = upload(granted=timedelta(seconds=-120))
    with pytest.raises(WriteLost, match="lease") as caught:
        plane.put(put)
    assert caught.value.write_id == put.write_id
    assert versions(s3, put.key) == []


_THREE_DAYS = r"(3 days, 0:00:0\d|2 days, 23:59:5\d)"


def test_clocks_of_postgres_and_s3_that_differ_are_named(s3: Settings, plane: DataPlane) -> None:
    """An upload that S3 refuses because Postgres's clock is days behind names the difference."""
    put = upload(granted=timedelta(days=-3), received_on=ids.now())
    with pytest.raises(ConfigurationError, match=rf"S3 server is {_THREE_DAYS} ahead of"):
        plane.put(put)
    assert versions(s3, put.key) == []


def test_a_clock_of_this_machine_that_differs_from_s3_is_named(
    plane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that S3 refuses because this machine's clock is days behind names the difference."""
    put = upload()
    version = plane.put(put)
    late = ids.now() - timedelta(days=3)
    monkeypatch.setattr(ids, "now", lambda: late)
    with pytest.raises(ConfigurationError, match=rf"{_THREE_DAYS} ahead of the clock of this machine"):
        plane.get(ref(put, version))


@pytest.mark.parametrize("size", [0, 10, CHUNK, CHUNK + 10])
@pytest.mark.parametrize(
    "change",
    [lambda body: body + b"x", lambda body: body[:-1] or b"y", lambda body: bytes(len(body)) or b"z"],
    ids=["longer", "shorter", "rewritten"],
)
def test_content_that_changed_is_not_saved(
    s3: Settings, plane: DataPlane, size: int, change: Callable[[bytes], bytes]
) -> None:
    """A file that grew, shrank or was rewritten after it was measured creates no version."""
    content = os.urandom(size)
    put = upload(content, Measured(change(content)).open)
    with pytest.raises(ValidationError, match="changed"):
        plane.put(put)
    assert versions(s3, put.key) == []
    plane.put(upload(content))


def test_content_that_vanished_is_not_saved(s3: Settings, plane: DataPlane, tmp_path: Path) -> None:
    """A file that was deleted before it is sent raises a typed error."""
    put = upload(b"was here", lambda: (tmp_path / "gone").open("rb"))
    with pytest.raises(ValidationError, match="changed"):
        plane.put(put)


@pytest.mark.parametrize("media_type", ["", "text/plain\r\nx: y", "tëxt/plain", " text/plain", "a  b"])
def test_invalid_media_types_are_refused(plane: DataPlane, media_type: str) -> None:
    """A media type must be ASCII without control characters or surrounding spaces."""
    with pytest.raises(ValidationError, match="media type"):
        plane.put(upload(media_type=media_type))


def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    connections: list[object] = []
    new = Connections._new

    def noted(pool: Connections) -> object:
        connections.append(pool)
        return new(pool)

    monkeypatch.setattr(Connections, "_new", noted)
    return connections


def test_connections_are_reused(plane: DataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """One caller uses one connection, whatever S3 replies."""
    connections = opened(monkeypatch)
    for size in (0, 5, CHUNK * 2):
        put = upload(os.urandom(size))
        found = ref(put, plane.put(put))
        assert plane.put(put) == found.version_id
        assert len(plane.get(found).read()) == size
        with pytest.raises(Corrupt):
            plane.get(ref(put, "0" * 32))
    assert len(connections) == 1


def test_an_unread_body_does_not_leak_into_the_next_response(
    plane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a body that was not read is never taken for the next response."""
    put = upload(os.urandom(4 * CHUNK))
    found = ref(put, plane.put(put))
    kept: list[object] = []
    release = Connections.release

    def noted(pool: Connections, connection: HTTPConnection) -> None:
        kept.append(connection)
        release(pool, connection)

    monkeypatch.setattr(Connections, "release", noted)
    stream = plane.get(found)
    assert stream.read(10) == put.source.open().read(10)
    stream.close()
    with pytest.raises(UsageError, match="closed"):
        stream.read(1)
    assert kept == []
    assert plane.get(found).read() == put.source.open().read()
    assert len(kept) == 1


@pytest.mark.parametrize("size", [1, 7, CHUNK, 3 * CHUNK])
def test_a_blob_can_be_read_in_chunks_of_any_size(plane: DataPlane, size: int) -> None:
    """Reading in chunks returns the same bytes, then an empty result."""
    put = upload(os.urandom(CHUNK // 8 + 3))
    stream = plane.get(ref(put, plane.put(put)))
    assert b"".join(iter(lambda: stream.read(size), b"")) == put.source.open().read()
    assert stream.read() == b""


def test_missing_bytes_are_corrupt(plane: DataPlane) -> None:
    """A version or key that the ledger has and S3 has not raises Corrupt."""
    put = upload()
    version = plane.put(put)
    for missing in (ref(put, "0" * 32), BlobRef("no/such/key", version, 4, b"", "text/plain")):
        with pytest.raises(Corrupt):
            plane.get(missing)


@pytest.mark.parametrize("wrong", [{"size": 3}, {"size": 5}, {"sha256": bytes(32)}])
def test_wrong_bytes_are_corrupt(plane: DataPlane, wrong: dict[str, int]) -> None:
    """A wrong length or SHA-256 raises an error before the last byte is returned."""
    put = upload()
    found = ref(put, plane.put(put))
    facts = {name: getattr(found, name) for name in ("key", "version_id", "size", "sha256", "media_type")}
    with pytest.raises(Corrupt):
        plane.get(BlobRef(**(facts | wrong))).read()


def test_a_large_file_is_streamed(plane: DataPlane, tmp_path: Path) -> None:
    """Neither upload nor download keeps more than a few chunks in memory."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(24 << 20))
    put = upload(path.read_bytes(), lambda: path.open("rb"))
    tracemalloc.start()
    for chunk in plane.get(ref(put, plane.put(put))):
        assert len(chunk) <= CHUNK
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * CHUNK


def test_threads_can_share_a_data_plane(plane: DataPlane) -> None:
    """Uploads and reads of many threads do not affect each other."""

    def work(number: int) -> bool:
        put = upload(bytes([number]) * (number * 1000))
        return plane.get(ref(put, plane.put(put))).read() == bytes([number]) * (number * 1000)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(80)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s3_bucket": "nobodys"}, "NoSuchBucket; run store.migrate"),
        ({"s3_access_key": "stranger"}, "403"),
    ],
)
def test_a_refusal_contains_the_remedy_and_no_secret(
    s3: Settings, changes: dict[str, str], message: str
) -> None:
    """A permanent refusal is a ConfigurationError; no error contains a signature."""
    wrong = data_plane(at(s3, **changes))
    put = upload()
    for work in (lambda: wrong.put(put), lambda: wrong.get(ref(put, "0" * 32))):
        with pytest.raises(ConfigurationError, match=message) as caught:
            work()
        assert no_secret(caught.value, s3)
    wrong.close()


def no_secret(error: BaseException | None, settings: Settings) -> bool:
    secret = settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else ""
    while error is not None:
        if "X-Amz" in repr(error) or secret in repr(error):
            return False
        error = error.__cause__ or error.__context__
    return True


def test_a_bucket_without_versions_is_refused(s3: Settings) -> None:
    """Bytes without a VersionId are never committed."""
    client = _client(s3)
    client.create_bucket(Bucket="without-versions")
    client.close()
    plain = data_plane(at(s3, s3_bucket="without-versions"))
    with pytest.raises(ConfigurationError, match="not versioned"):
        plain.put(upload())
    plain.close()
