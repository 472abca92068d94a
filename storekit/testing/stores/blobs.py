"""The blobs port in memory, and a way to fetch the URLs that it signs."""

from __future__ import annotations

import hashlib
import hmac
import io
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit
from uuid import uuid4

from storekit import ids
from storekit.errors import Corrupt, ValidationError, WriteLost
from storekit.ports.stores import BlobPut, BlobRef, BlobStream


@dataclass(frozen=True, slots=True)
class Fetched:
    """The response to a URL: 200 with content, 403 for an invalid or expired URL, 404 for a missing object.

    Example:
        assert memory.fetch(url) == Fetched(200, b"text", "text/plain", 'attachment; filename="a.txt"')
    """

    status: int
    body: bytes = b""
    media_type: str = ""
    disposition: str = ""


@dataclass(frozen=True, slots=True)
class _Object:
    version_id: str
    body: bytes
    media_type: str


class MemoryBlobs:
    """Objects in memory by key, written once and readable by `memory://` URLs. Thread-safe."""

    def __init__(self, clock: Callable[[], datetime] = ids.now) -> None:
        self.objects: dict[str, _Object] = {}
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()

    async def put(self, put: BlobPut) -> str:
        with put.source.open() as file:
            body = file.read()
        sent = _Object(uuid4().hex, body, put.media_type)
        if len(body) != put.source.size or hashlib.sha256(body).digest() != put.source.sha256:
            raise ValidationError("the content changed after it was measured; save it again")
        if self._clock() >= put.until:
            raise WriteLost(put.write_id, "its lease (STOREKIT_LEASE) expired before the upload began")
        with self._lock:
            # A repeated upload finds its own object, as with If-None-Match and a check of the hash in S3.
            found = self.objects.setdefault(put.key, sent)
        if found.body != body:
            raise Corrupt(put.key, f"{len(body)} bytes that were sent", f"{len(found.body)} others")
        return found.version_id

    async def get(self, ref: BlobRef) -> BlobStream:
        found = self.objects.get(ref.key)
        if found is None or found.version_id != ref.version_id:
            raise Corrupt(ref.key, f"version {ref.version_id}", "nothing")
        digest = hashlib.sha256(found.body)
        if digest.digest() != ref.sha256:
            raise Corrupt(ref.key, f"sha256 {ref.sha256.hex()}", f"sha256 {digest.hexdigest()}")
        return io.BytesIO(found.body)

    def sign(self, ref: BlobRef, expires_in: int, disposition: str, content_type: str | None) -> str:
        query = {
            "versionId": ref.version_id,
            "expires": (self._clock() + timedelta(seconds=expires_in)).isoformat(),
            "content-disposition": disposition,
            "content-type": content_type or "",
        }
        unsigned = f"memory://blobs/{quote(ref.key)}?{urlencode(query)}"
        return f"{unsigned}&signature={self._signature(unsigned)}"

    def fetch(self, url: str) -> Fetched:
        """Return what a browser would get from a signed URL."""
        unsigned, _, signature = url.rpartition("&signature=")
        split = urlsplit(unsigned)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        genuine = hmac.compare_digest(signature, self._signature(unsigned))
        if not genuine or self._clock() >= datetime.fromisoformat(query["expires"]):
            return Fetched(403)
        found = self.objects.get(unquote(split.path.removeprefix("/")))
        if found is None or found.version_id != query["versionId"]:
            return Fetched(404)
        media_type = query.get("content-type", found.media_type)
        return Fetched(200, found.body, media_type, query["content-disposition"])

    def _signature(self, unsigned: str) -> str:
        return hmac.new(self._secret, unsigned.encode(), hashlib.sha256).hexdigest()

    async def close(self) -> None:
        """Do nothing: another store may use the same blobs."""
