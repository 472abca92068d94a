"""The blobs port over S3."""

from __future__ import annotations

from functools import lru_cache

from storekit.drivers.s3.credentials import Provider, provider
from storekit.drivers.s3.dataplane import DataPlane
from storekit.drivers.s3.secure import check_tls
from storekit.drivers.s3.signer import Signer, encode
from storekit.errors import ConfigurationError
from storekit.ports.stores import BlobPut, BlobRef, BlobStream, Runtime
from storekit.settings import Settings


class S3Blobs:
    """Uploads and reads through the internal endpoint; signs URLs for the public one."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        credentials = provider(settings)
        check_tls(settings)
        internal = signer(settings, settings.s3_endpoint_url, credentials)
        public = settings.s3_public_url
        self._public = signer(settings, public, credentials, "S3_PUBLIC_URL") if public else internal
        self._data = DataPlane(internal, timeout=settings.timeout.total_seconds(), keep=settings.max_puts)
        self._runtime = runtime

    async def put(self, put: BlobPut) -> str:
        """Upload and return the VersionId. Repeating an upload whose response was lost is safe.

        Raises:
            ValidationError: the content changed after it was measured.
            WriteLost: the lease expired before S3 accepted the upload, or a sweep deleted the object.
            Corrupt: the object of the key contains other bytes.
            Unavailable: no connection, no progress, or three transient failures.
            ConfigurationError: S3 rejected the upload for a reason that a retry does not change.
        """
        return await self._runtime.blocking(lambda: self._data.put(put))

    async def get(self, ref: BlobRef) -> BlobStream:
        """Open one version for reading. Reading from it blocks."""
        return await self._runtime.blocking(lambda: self._data.get(ref))

    def sign(self, ref: BlobRef, expires_in: int, disposition: str, content_type: str | None) -> str:
        """Return a URL for a GET of exactly this version.

        The response must not be cached: only the URL, which expires, controls access.
        """
        query = f"{_overrides(disposition, content_type)}&versionId={encode(ref.version_id)}"
        return self._public.sign("GET", ref.key, expires_in, encoded=query)

    async def close(self) -> None:
        """Close idle connections; a blob that is being read closes its connection at its end."""
        self._data.close()


@lru_cache(maxsize=1024)
def _overrides(disposition: str, content_type: str | None) -> str:
    """Encode the parameters that most URLs share, sorted by name."""
    query = f"response-cache-control=no-store&response-content-disposition={encode(disposition)}"
    return f"{query}&response-content-type={encode(content_type)}" if content_type else query


def signer(
    settings: Settings, endpoint: str | None, credentials: Provider, variable: str = "S3_ENDPOINT_URL"
) -> Signer:
    """Return the signer of requests to one address of the bucket.

    Raises:
        ConfigurationError: S3_BUCKET is not set, or the address cannot be used.
    """
    bucket, region = settings.s3_bucket, settings.s3_region
    if not bucket:
        raise ConfigurationError("S3_BUCKET is not set")
    if endpoint:
        return Signer(endpoint, bucket, region, credentials, variable=variable)
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    # With a dot in its name the bucket cannot be a host: the certificate of *.s3.<region> covers one label.
    return Signer(f"https://s3.{region}.{suffix}", bucket, region, credentials, path_style="." in bucket)
