"""What a signed URL allows, on a real S3 server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from storekit import ids
from storekit.bridge import run
from storekit.drivers.s3.blobs import S3Blobs
from storekit.errors import StorekitError
from storekit.model.values.disposition import disposition
from storekit.ports.stores import BlobPut, BlobRef
from storekit.settings import Settings
from tests.integration.s3_parts import at, ref, signer, upload

T = TypeVar("T")


FENCE = {"content-length": "2", "content-type": "text/plain", "if-none-match": "*",
         "x-amz-checksum-sha256": "j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ="}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "body", "status"),
    [
        ({}, b"hi", 200),
        ({}, b"ho", 400),
        ({"content-length": "3"}, b"hi!", 403),
        ({"content-type": "text/html"}, b"hi", 403),
        ({"if-none-match": None}, b"hi", 403),
        ({"x-amz-checksum-sha256": "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="}, b"hi", 403),
    ],
)
def test_a_signed_upload_is_restricted(
    s3: Settings, changed: dict[str, str | None], body: bytes, status: int
) -> None:
    """S3 refuses an upload whose length, type, hash or condition differs from what was signed."""
    signed = signer(s3)
    put = upload()
    url = urlsplit(signed.sign("PUT", put.key, 60, headers=FENCE))
    headers = {name: value for name, value in (FENCE | changed).items() if value is not None}
    connection = HTTPConnection(signed.host)
    connection.request("PUT", f"{url.path}?{url.query}", body, headers)
    assert connection.getresponse().status == status
    connection.close()


class Inline:
    """A runtime that runs blocking work in the calling thread."""

    async def blocking(self, work: Callable[[], T]) -> T:
        return work()


def saved(settings: Settings, put: BlobPut) -> tuple[S3Blobs, BlobRef]:
    blobs = S3Blobs(settings, Inline())  # type: ignore[arg-type]  # it needs nothing else of a runtime
    return blobs, ref(put, run(blobs.put(put)))


def test_a_url_needs_no_credentials(s3: Settings) -> None:
    """The standard library's client opens a URL and gets the bytes, their name and their media type."""
    blobs, found = saved(s3, upload(b"hello"))
    name = 'Über "uns".pdf'
    with urlopen(blobs.sign(found, 60, disposition(name, inline=False), "application/pdf")) as response:
        assert response.read() == b"hello"
        assert response.headers["Content-Type"] == "application/pdf"
        assert response.headers["Content-Disposition"] == disposition(name, inline=False)
        assert response.headers["Cache-Control"] == "no-store"
    assert run(blobs.get(found)).read() == b"hello"
    run(blobs.close())


def test_a_changed_or_expired_url_is_refused(s3: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 refuses a URL that was changed or has expired."""
    blobs, found = saved(s3, upload(b"hello"))
    url = blobs.sign(found, 60, "attachment", None)
    monkeypatch.setattr(ids, "now", lambda: datetime.now(UTC) - timedelta(seconds=61))
    past = blobs.sign(found, 60, "attachment", None)
    for refused in (past, url.replace("attachment", "inline"), url.replace(found.key, found.key + "x")):
        with pytest.raises(HTTPError) as caught:
            urlopen(refused)
        assert caught.value.code == 403
        caught.value.close()
    run(blobs.close())


def test_urls_are_signed_for_the_public_endpoint(s3: Settings) -> None:
    """Readers can use another name of S3 than storekit does."""
    settings = at(s3, s3_public_url="https://files.example.com")
    blobs, found = saved(settings, upload())
    assert blobs.sign(found, 60, "attachment", None).startswith(
        f"https://files.example.com/records/{found.key}?"
    )
    run(blobs.close())


def test_incomplete_settings_are_refused() -> None:
    """S3 settings without a bucket or with half of the keys are refused before anything is sent."""
    no_bucket = Settings(s3_access_key="a", s3_secret_key=SecretStr("s"))
    for half in (Settings(s3_access_key="a", s3_bucket="b"), no_bucket):
        with pytest.raises(StorekitError):
            S3Blobs(half, Inline())  # type: ignore[arg-type]  # as above
