"""Parts to upload, as a flow describes them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO
from uuid import uuid4

from storekit import ids
from storekit.drivers.s3.credentials import provider
from storekit.drivers.s3.dataplane import DataPlane
from storekit.drivers.s3.signer import Signer
from storekit.ports.stores import BlobPut, BlobRef
from storekit.settings import Settings


@dataclass
class Measured:
    """Content whose size and hash are those of `content`, while `opener` supplies the bytes that are sent."""

    content: bytes
    opener: Callable[[], BinaryIO] | None = None

    def __post_init__(self) -> None:
        self.size = len(self.content)
        self.sha256 = hashlib.sha256(self.content).digest()

    def open(self) -> BinaryIO:
        return self.opener() if self.opener else io.BytesIO(self.content)


def upload(
    content: bytes = b"# hi",
    opener: Callable[[], BinaryIO] | None = None,
    *,
    key: str | None = None,
    media_type: str = "text/markdown",
    granted: timedelta = timedelta(),
    lease: timedelta = timedelta(seconds=60),
    received_on: datetime | None = None,
) -> BlobPut:
    """Describe an upload with a new key, granted now or with an offset from now."""
    granted_on = ids.now() + granted
    return BlobPut(
        key=key or f"{uuid4()}/tool_calls/{ids.new_ref_id()}/transcript/{uuid4()}",
        source=Measured(content, opener),
        media_type=media_type,
        granted_on=granted_on,
        until=granted_on + lease,
        write_id=ids.new_id(),
        received_on=received_on or granted_on,
    )


def ref(put: BlobPut, version_id: str) -> BlobRef:
    return BlobRef(put.key, version_id, put.source.size, put.source.sha256, put.media_type)


def signer(settings: Settings) -> Signer:
    assert settings.s3_endpoint_url is not None
    assert settings.s3_bucket is not None
    return Signer(settings.s3_endpoint_url, settings.s3_bucket, settings.s3_region, provider(settings))


def data_plane(settings: Settings, timeout: float = 10.0) -> DataPlane:
    return DataPlane(signer(settings), timeout=timeout, keep=8)


def at(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update=changes)
