"""PUT and GET of part bytes, on URLs that nobody signs a second time.

An upload is fenced: its one URL is signed for exactly this key, length, type and SHA-256, only while nothing
is there, only until its lease ends. So every repeat, ours or the network's, either finds its own bytes or is
refused by S3 itself, however late it comes.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from time import monotonic

from storekit.drivers.s3.connections import Answer, Connections, Lost
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
"""Seconds without progress after which an upload fails: one that hangs must not keep its key for ever."""

LONGEST_PUT = 55 * 60.0
"""Seconds that one try's body may take; a sweep waits an hour after the last signature before it is final."""

_READ_LIFE = 60
_PAUSES = (0.0, 0.05, 0.4)
_CHECKSUM = "x-amz-checksum-sha256"
_CHANGED = "its content changed while it was uploaded; save it again when nobody writes to it"
_CHANGED_CODES = {"BadDigest", "IncompleteBody", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
# A delete marker answers MethodNotAllowed, a VersionId of another form InvalidArgument.
_MISSING_CODES = {"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "InvalidArgument"}
_MEDIA_TYPE = re.compile(r"[!-~]+(?: [!-~]+)*").fullmatch
_EXPIRED = re.compile(rb"has expired|ExpiredPresign", re.IGNORECASE)


class DataPlane:
    """Moves bytes between sources and one bucket; every method blocks. Thread-safe."""

    def __init__(self, signer: Signer, *, timeout: float, keep: int) -> None:
        self._signer = signer
        self._timeout = timeout
        self._connections = Connections(signer.origin, signer.host, timeout=timeout, keep=keep)

    def put(self, put: BlobPut) -> str:
        """Upload, and answer the VersionId. The same URL is sent up to three times while it lives."""
        headers, life = _fences(put), _life(put)
        ends = monotonic() + life
        url = self._signer.sign("PUT", put.key, life, headers=headers, signed_on=put.granted_on)
        content = partial(_content, put.source, ends + LONGEST_PUT)
        with self._request("PUT", url, headers, content, ends=ends, patience=PUT_PATIENCE) as answer:
            if answer.status == 200:
                return _version(answer)
            if answer.status != 412:
                raise _refused_put(put, answer, over=monotonic() >= ends)
        return self._landed(put)

    def get(self, ref: BlobRef) -> Download:
        """Open exactly this version."""
        url = self._signer.sign("GET", ref.key, _READ_LIFE, query=(("versionId", ref.version_id),))
        answer = self._request("GET", url, {})
        if answer.status == 200 and answer.length == ref.size:
            return Download(ref, answer)
        with answer:
            if answer.status == 200:
                raise Corrupt(ref.key, f"{ref.size} bytes", f"{answer.length} bytes")
            if answer.code in _MISSING_CODES:
                raise Corrupt(ref.key, f"version {ref.version_id}", f"{answer.status} {answer.code}")
            raise _refused("GET", answer)

    def close(self) -> None:
        self._connections.close()

    def _landed(self, put: BlobPut) -> str:
        """Something is under our key: an earlier try whose answer was lost, or nothing of ours."""
        headers = {"x-amz-checksum-mode": "ENABLED"}
        url = self._signer.sign("HEAD", put.key, _READ_LIFE, headers=headers)
        with self._request("HEAD", url, headers) as answer:
            if answer.status == 404:
                raise WriteLost(put.write_id, "its object was swept")
            if answer.status != 200:
                raise _refused("HEAD", answer)
            version, size, checksum = (
                _version(answer),
                answer.headers["Content-Length"],
                answer.headers[_CHECKSUM],
            )
        if checksum is None:  # a store that keeps no checksums: look at the bytes
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
    ) -> Answer:
        """Send the same request until it is answered for good: at most three times, none after `ends`."""
        target, tries, why = url.removeprefix(self._signer.origin), 0, ""
        for pause in _PAUSES:
            if pause:
                time.sleep(pause)
            if monotonic() >= ends:
                break
            tries += 1
            try:
                answer = self._connections.request(
                    method, target, headers, content(), patience or self._timeout
                )
                why = _passing(method, answer)
            except Lost as error:
                why = str(error)
            else:
                if not why:
                    return answer
                answer.close()
        raise Unavailable("s3", f"{why}; tried {tries} times")


def _fences(put: BlobPut) -> dict[str, str]:
    if not _MEDIA_TYPE(put.media_type):
        raise ValidationError(f"media type {put.media_type!r} is not plain ASCII, as 'text/plain' is")
    return {
        "content-length": str(put.source.size),
        "content-type": put.media_type,
        "if-none-match": "*",
        _CHECKSUM: _encoded(put.source),
    }


def _life(put: BlobPut) -> int:
    # Both cut to whole seconds: the last moment that S3 accepts is never after `until`.
    return int(put.until.timestamp()) - int(put.granted_on.timestamp())


def _encoded(source: Source) -> str:
    return b64encode(source.sha256).decode()


def _content(source: Source, deadline: float) -> Iterator[bytes]:
    """Read exactly the measured bytes; the last ones only when the content is known to end there.

    So content that grew or shrank never makes a whole request.
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
                        "s3", f"{left} of {source.size} bytes were not sent in {LONGEST_PUT:g} s"
                    )
    except (OSError, ValueError) as error:
        raise ValidationError(_CHANGED) from error


def _passing(method: str, answer: Answer) -> str:
    """Tell what in this answer may pass when it is asked again; empty when it stands."""
    if answer.status == 200 and method != "PUT":
        return ""
    code = answer.code  # this also reads the body to its end, so that the connection can be kept
    if answer.status == 200:
        return f"it answered 200 with an error {code}" if answer.error else ""
    if answer.status in {409, 429} or answer.status >= 500 or code == "RequestTimeout":
        return f"it answered {answer.status} {code}".rstrip()
    return ""


def _version(answer: Answer) -> str:
    version = answer.headers["x-amz-version-id"]
    if not version or version == "null":
        raise ConfigurationError("the S3 bucket is not versioned; let store.migrate() create a bucket")
    return str(version)


def _refused_put(put: BlobPut, answer: Answer, *, over: bool) -> StorekitError:
    if answer.code in _CHANGED_CODES:
        return ValidationError(_CHANGED)
    if answer.status == 403 and (over or _EXPIRED.search(answer.error)):
        return WriteLost(put.write_id, "its lease was over before the upload began")
    return _refused("PUT", answer)


def _refused(method: str, answer: Answer) -> ConfigurationError:
    code = answer.code
    if code == "NoSuchBucket":
        remedy = "let store.migrate() create the bucket"
    elif 300 <= answer.status < 400:
        remedy = "check S3_ENDPOINT_URL and AWS_REGION"
    else:
        remedy = "check S3_ENDPOINT_URL, the access key, its rights and this machine's clock"
    return ConfigurationError(f"s3 refused {method} with {answer.status} {code}".rstrip() + f"; {remedy}")
