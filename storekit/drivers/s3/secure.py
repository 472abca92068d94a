"""Refuse S3 addresses without https, to which blobs and signed URLs would be sent in the clear."""

from __future__ import annotations

from urllib.parse import urlsplit

from storekit.drivers.tls import is_local, refuse
from storekit.settings import Settings, Tls


def check_tls(settings: Settings) -> None:
    """Check both addresses before anything is signed or sent.

    Raises:
        ConfigurationError: an address on another machine has no https.
    """
    if settings.s3_tls is Tls.OPTIONAL:
        return
    for variable, url in (
        ("S3_ENDPOINT_URL", settings.s3_endpoint_url),
        ("S3_PUBLIC_URL", settings.s3_public_url),
    ):
        parts = urlsplit(url or "")
        if parts.scheme == "http" and not is_local(parts.hostname or ""):
            why = "http:// sends blobs and signed URLs in the clear"
            raise refuse(variable, parts.hostname or "its host", why, "use https://")
