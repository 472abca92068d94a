"""PUT and GET of blobs with signed URLs.

Each upload has a fence. Its only URL is signed for one key, length, media type and SHA-256, for a key that
does not exist yet (`If-None-Match: *`), and expires with the lease. However late a repeated request arrives,
S3 either has the same bytes already or rejects it. Therefore a sweep can delete the object of an abandoned
write safely.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from time import monotonic

from storekit import ids
from storekit.drivers.s3 import clocks
from storekit.drivers.s3.connections import ConnectionLost, Connections, Response
from storekit.drivers.s3.download import CHUNK, Download
from storekit.drivers.s3.signer import Signer
from storekit.errors import (
    ConfigurationError,
    Corrupt,
    StorekitError,
    Unavailable,
    ValidationError,
    WriteLost,
)
from storekit.ports.stores import BlobPut, BlobRef, Source

PUT_PATIENCE = 30.0
"""Seconds without progress after which an upload fails, so that it does not block its idempotency key for
ever."""

LONGEST_PUT = 55 * 60.0
"""Seconds that sending one body may take.

S3 checks the expiry when a request begins, so an upload can end long after its URL has expired. A sweep waits
one hour after the last expiry before its second and final delete, so no upload may take longer.
"""

_READ_LIFE = 60
"""Seconds that URLs for our own GET and HEAD are valid: they are used at once."""
_PAUSES = (0.0, 0.05, 0.4)
"""Seconds before each of the three tries."""
_CHECKSUM = "x-amz-checksum-sha256"
_CHANGED = "the content changed while it was uploaded; save it again when no other process writes to it"
_CHANGED_CODES = {"BadDigest", "IncompleteBody", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
# A GET of a delete marker returns MethodNotAllowed, a VersionId of another format InvalidArgument.
_MISSING_CODES = {"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "InvalidArgument"}
_MEDIA_TYPE = re.compile(r"[!-~]+(?: [!-~]+)*").fullmatch
_EXPIRED = re.compile(rb"has expired|ExpiredPresign", re.IGNORECASE)


class DataPlane:
    """Uploads and downloads part bytes of one bucket. Every method blocks. Thread-safe."""

    def __init__(self, signer: Signer, *, timeout: float, keep: int) -> None:
        self._signer = signer
        self._timeout = timeout
        self._connections = Connections(signer.origin, signer.host, timeout=timeout, keep=keep)

    def put(self, put: BlobPut) -> str:
        """Upload and return the VersionId. Sends the same URL at most three times, while it is valid."""
        headers, life = _put_headers(put), _life(put)
        ends = monotonic() + life
        # Signed as of the time at which Postgres granted the lease, so that a slow client does not prolong
        # it.
        url = self._signer.sign("PUT", put.key, life, headers=headers, signed_on=put.granted_on)
        content = partial(_content, put.source, ends + LONGEST_PUT)
        with self._request("PUT", url, headers, content, ends=ends, patience=PUT_PATIENCE) as response:
            if response.status == 200:
                return _version(response)
            if response.status != 412:
                raise _refused_put(put, response, over=monotonic() >= ends)
        # 412: the key exists. An earlier try may have stored the bytes before its response was lost.
        return self._verify_existing(put)

    def get(self, ref: BlobRef) -> Download:
        """Open exactly this version for reading."""
        url = self._signer.sign("GET", ref.key, _READ_LIFE, query=(("versionId", ref.version_id),))
        response = self._request("GET", url, {})
        if response.status == 200 and response.length == ref.size:
            return Download(ref, response)
        with response:
            if response.status == 200:
                raise Corrupt(ref.key, f"{ref.size} bytes", f"{response.length} bytes")
            if response.code in _MISSING_CODES:
                raise Corrupt(ref.key, f"version {ref.version_id}", f"{response.status} {response.code}")
            raise _refused("GET", response)

    def close(self) -> None:
        self._connections.close()

    def _verify_existing(self, put: BlobPut) -> str:
        """Return the VersionId of the object under the key, if it holds the bytes of this upload.

        Raises:
            WriteLost: a sweep has deleted the object, so another process has abandoned this write.
            Corrupt: the object contains other bytes.
        """
        headers = {"x-amz-checksum-mode": "ENABLED"}
        url = self._signer.sign("HEAD", put.key, _READ_LIFE, headers=headers)
        with self._request("HEAD", url, headers) as response:
            if response.status == 404:
                raise WriteLost(put.write_id, "its object was removed by a sweep")
            if response.status != 200:
                raise _refused("HEAD", response)
            version, size, checksum = (
                _version(response),
                response.headers["Content-Length"],
                response.headers[_CHECKSUM],
            )
        if checksum is None:  # some stores keep no checksum: read the object and hash it
            source = put.source
            for _ in self.get(BlobRef(put.key, version, source.size, source.sha256, put.media_type)):
                pass
        elif (size, checksum) != (str(put.source.size), _encoded(put.source)):
            raise Corrupt(
                put.key,
                f"{put.source.size} bytes, sha256 {_encoded(put.source)}",
                f"{size} bytes, {checksum}",
            )
        return version

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Callable[[], Iterable[bytes]] = tuple,
        *,
        ends: float = float("inf"),
        patience: float | None = None,
    ) -> Response:
        """Send a request until its response is final, at most three times and never after `ends`."""
        target, tries, why = url.removeprefix(self._signer.origin), 0, ""
        for pause in _PAUSES:
            if pause:
                time.sleep(pause)
            if monotonic() >= ends:
                break
            tries += 1
            try:
                response = self._connections.request(
                    method, target, headers, content(), patience or self._timeout
                )
                why = _transient_failure(method, response)
            except ConnectionLost as error:
                why = str(error)
            else:
                if not why:
                    return response
                response.close()
        raise Unavailable("s3", f"{why}; tried {tries} times", detail=self._connections.place)


def _put_headers(put: BlobPut) -> dict[str, str]:
    if not _MEDIA_TYPE(put.media_type):
        raise ValidationError(f"media type {put.media_type!r:.60} must be ASCII, such as 'text/plain'")
    return {
        "content-length": str(put.source.size),
        "content-type": put.media_type,
        "if-none-match": "*",
        _CHECKSUM: _encoded(put.source),
    }


def _life(put: BlobPut) -> int:
    # Both are truncated to whole seconds, so that the signature never expires after `until`.
    return int(put.until.timestamp()) - int(put.granted_on.timestamp())


def _encoded(source: Source) -> str:
    return b64encode(source.sha256).decode()


def _content(source: Source, deadline: float) -> Iterator[bytes]:
    """Yield exactly the measured number of bytes.

    The last chunk is not sent until one more read has shown that the content ends there. If the content
    became longer or shorter since it was measured, the request therefore stays incomplete, even without the
    checksum of S3.
    """
    try:
        with source.open() as file:
            left = source.size
            while True:
                chunk = file.read(min(left, CHUNK))
                left -= len(chunk)
                if left < 0 or (left and not chunk) or (not left and file.read(1)):
                    raise ValidationError(_CHANGED)
                yield chunk
                if not left:
                    return
                if monotonic() > deadline:
                    raise Unavailable(
                        "s3", f"{left} of {source.size} bytes were not sent within {LONGEST_PUT:g} s"
                    )
    except (OSError, ValueError) as error:
        raise ValidationError(_CHANGED) from error


def _transient_failure(method: str, response: Response) -> str:
    """Return why the request should be sent again; empty if the response is final."""
    if response.status == 200 and method != "PUT":
        return ""
    code = response.code  # also reads the body to its end, so that the connection can be reused
    if response.status == 200:
        # S3 may send the status before the operation has finished, and report a failure in the body.
        return f"it returned 200 with error {code}" if response.error else ""
    # 409: another conditional request for the same key is in progress, such as an earlier try of ours.
    if response.status in {409, 429} or response.status >= 500 or code == "RequestTimeout":
        return f"it returned {response.status} {code}".rstrip()
    return ""


def _version(response: Response) -> str:
    version = response.headers["x-amz-version-id"]
    if not version or version == "null":
        raise ConfigurationError("the S3 bucket is not versioned; let store.migrate() create a new bucket")
    return str(version)


def _refused_put(put: BlobPut, response: Response, *, over: bool) -> StorekitError:
    if response.code in _CHANGED_CODES:
        return ValidationError(_CHANGED)
    # S3 reports an expired signature as 403, as it does a wrong key; only the body or the time tells them
    # apart.
    if response.status == 403:
        ahead = clocks.ahead(response, put.granted_on + (ids.now() - put.received_on))
        if ahead:
            return ConfigurationError(
                f"the clock of the S3 server is {ahead} the clock of Postgres, whose time signs uploads; set "
                "the clocks"
            )
        if over or _EXPIRED.search(response.error):
            return WriteLost(put.write_id, "its lease (STOREKIT_LEASE) expired before the upload began")
    return _refused("PUT", response)


def _refused(method: str, response: Response) -> ConfigurationError:
    code = response.code
    ahead = clocks.ahead(response, ids.now()) if response.status == 403 else ""
    if ahead:
        remedy = f"the clock of the S3 server is {ahead} the clock of this machine; set the clocks"
    elif code == "NoSuchBucket":
        remedy = "run store.migrate() to create the bucket"
    elif 300 <= response.status < 400:
        remedy = "check S3_ENDPOINT_URL and AWS_REGION"
    else:
        remedy = "check S3_ENDPOINT_URL, the access key and its permissions"
    return ConfigurationError(f"s3 rejected {method} with {response.status} {code}".rstrip() + f"; {remedy}")
