"""Check S3: one signed request, for the versioning of the bucket."""

from __future__ import annotations

import re

from storekit.drivers.s3.blobs import signer
from storekit.drivers.s3.connections import ConnectionLost, Connections
from storekit.drivers.s3.credentials import provider
from storekit.drivers.s3.secure import check_tls
from storekit.errors import Unavailable
from storekit.settings import Settings

_LIFE = 60
_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


def check(settings: Settings) -> tuple[str | None, list[tuple[str, str]]]:
    """Return the name that the server reports, and its problems with their remedies.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
        Unavailable: the server cannot be reached.
    """
    check_tls(settings)
    found = signer(settings, settings.s3_endpoint_url, provider(settings))
    seconds = settings.timeout.total_seconds()
    connections = Connections(found.origin, found.host, timeout=seconds, keep=1)
    url = found.sign("GET", "", _LIFE, query=(("versioning", ""),))
    try:
        with connections.request("GET", url.removeprefix(found.origin), {}, (), seconds) as response:
            server = response.headers.get("Server")
            body, code = response.error, response.code or str(response.status)
            return server, _problems(settings.s3_bucket or "", response.status, code, body)
    except ConnectionLost as error:
        raise Unavailable("s3", str(error)) from error
    finally:
        connections.close()


def _problems(bucket: str, status: int, code: str, body: bytes) -> list[tuple[str, str]]:
    if status == 200:
        if re.search(rb"<Status>\s*Enabled\s*</Status>", body):
            return []
        return [(f"bucket {bucket} is not versioned", "use a bucket that storekit migrate created")]
    if code in {"NoSuchBucket", "404"}:
        return [(f"bucket {bucket} does not exist", "run storekit migrate, or correct S3_BUCKET")]
    if code in _KEYS:
        return [(f"S3 refused the key ({code})", "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    if code == "RequestTimeTooSkewed":
        return [(f"the clock of this machine differs from that of S3 ({code})", "correct the clock")]
    if status == 403:
        what = f"the key may not read the versioning of bucket {bucket} ({code})"
        return [(what, "allow s3:GetBucketVersioning, s3:GetObjectVersion and s3:PutObject")]
    return [(f"S3 returned {status} {code}", "check S3_ENDPOINT_URL, S3_BUCKET and AWS_REGION")]
