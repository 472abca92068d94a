"""Pre-signed URLs by AWS Signature Version 4, computed without I/O and without a client library.

URLs of the same second share the signing key, the credential scope and most of the query, which are cached.
Signing then takes 3.5 us of CPU; boto3 takes 160 us. The result is byte-equal to botocore's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from hmac import digest as hmac
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from storekit import ids
from storekit.drivers.s3.credentials import Credentials, Provider
from storekit.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from hashlib import _Hash

LONGEST = 7 * 24 * 3600
"""Maximum of `expires_in` in seconds; S3 refuses longer ones."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"[\w.~/-]*", re.ASCII).fullmatch
_BARE = re.compile(r"[\w.~-]*", re.ASCII).fullmatch
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
"""Translation tables for the inner and the outer pad of an HMAC (RFC 2104)."""


class _Grant(NamedTuple):
    """The parts of a signature that do not depend on the object."""

    credentials: Credentials
    second: int
    expires_in: int
    signed: str
    day: str
    inner: _Hash
    outer: _Hash
    canonical: str
    query: str
    preamble: str


class Signer:
    """Signs requests for one bucket.

    Thread-safe without a lock: the cache is one tuple, which is read once for each URL and replaced as a
    whole. A credential refresh changes the identity of the credentials, and so invalidates it.

    >>> signer = Signer("https://s3.test", "records", "eu-west-1", lambda: Credentials("key", "secret"))
    >>> signer.sign("GET", "a/b", 900).partition("?")[0]
    'https://s3.test/records/a/b'
    """

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        region: str,
        credentials: Provider,
        *,
        path_style: bool = True,
        variable: str = "S3_ENDPOINT_URL",
    ) -> None:
        authority, self.host, prefix, scheme = parse_endpoint(endpoint, variable)
        if not path_style:
            authority, self.host = f"{bucket}.{authority}", f"{bucket}.{self.host}"
        self.origin = f"{scheme}://{authority}"
        self._base = f"{prefix}/{bucket}/" if path_style else f"{prefix}/"
        self._region = region
        self._credentials = credentials
        self._host_line = f"host:{self.host}\n"
        self._grant: _Grant | None = None

    def sign(
        self,
        method: str,
        key: str,
        expires_in: int,
        *,
        query: Sequence[tuple[str, str]] = (),
        encoded: str = "",
        headers: Mapping[str, str] | None = None,
        signed_on: datetime | None = None,
    ) -> str:
        """Return a URL for one request.

        If the credentials expire earlier, the URL expires with them.

        Args:
            expires_in: seconds for which the URL is valid, from `signed_on` on.
            query: parameters; names must be plain ASCII and start in lower case, as all of S3's do.
            encoded: instead of `query`, a query string that is already encoded and sorted.
            headers: headers that the request must send with exactly these values.
            signed_on: the time of the signature; default is now.
        """
        lines, signed = self._signed_headers(headers) if headers else (self._host_line, "host")
        grant = self._grant_for(int((signed_on or ids.now()).timestamp()), expires_in, signed)
        path = self._base + (key if _PLAIN(key) else quote(key, safe="/~"))
        canonical, sent = grant.canonical, grant.query
        if encoded:
            canonical, sent = f"{canonical}&{encoded}", f"{encoded}&{sent}"
        elif query:
            written, ordered = _encoded(query)
            canonical, sent = f"{canonical}&{ordered}", f"{written}&{sent}"
        request = f"{method}\n{path}\n{canonical}\n{lines}\n{signed}\nUNSIGNED-PAYLOAD"
        # The HMAC is computed from copies of the two hash states of the key: hmac.new would hash the key for
        # each URL.
        inner, outer = grant.inner.copy(), grant.outer.copy()
        inner.update((grant.preamble + sha256(request.encode()).hexdigest()).encode())
        outer.update(inner.digest())
        return f"{self.origin}{path}?{sent}&X-Amz-Signature={outer.hexdigest()}"

    def _signed_headers(self, headers: Mapping[str, str]) -> tuple[str, str]:
        named = {name.lower(): " ".join(value.split()) for name, value in headers.items()} | {
            "host": self.host
        }
        names = sorted(named)
        return "".join(f"{name}:{named[name]}\n" for name in names), ";".join(names)

    def _grant_for(self, second: int, expires_in: int, signed: str) -> _Grant:
        credentials, last = self._credentials(), self._grant
        if (
            last is not None
            and last.second == second
            and last.credentials is credentials
            and last.expires_in == expires_in
            and last.signed == signed
        ):
            return last
        self._grant = last = _renewed(last, credentials, self._region, second, expires_in, signed)
        return last


def _renewed(
    last: _Grant | None, credentials: Credentials, region: str, second: int, expires_in: int, signed: str
) -> _Grant:
    date = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
    day, life = date[:8], _life(credentials, second, expires_in)
    if last is not None and last.day == day and last.credentials is credentials:
        inner, outer = last.inner, last.outer
    else:
        inner, outer = _key(credentials.secret_key, day, region)
    scope = f"{day}/{region}/s3/aws4_request"
    signer = quote(f"{credentials.access_key}/{scope}", safe="")
    head = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={signer}&X-Amz-Date={date}&X-Amz-Expires={life}"
    )
    token = f"&X-Amz-Security-Token={quote(credentials.token, safe='')}" if credentials.token else ""
    names = f"&X-Amz-SignedHeaders={quote(signed, safe='')}"
    # The canonical query must be sorted by name. The URL uses the order of botocore, so that both are
    # byte-equal.
    return _Grant(
        credentials, second, expires_in, signed, day, inner, outer,
        canonical=head + token + names,
        query=head + names + token,
        preamble=f"AWS4-HMAC-SHA256\n{date}\n{scope}\n",
    )  # fmt: skip


def _life(credentials: Credentials, second: int, expires_in: int) -> int:
    if not 1 <= expires_in <= LONGEST:
        raise UsageError(f"expires_in must be from 1 to {LONGEST} s, got {expires_in} s")
    if credentials.expires_on is None:
        return expires_in
    left = int(credentials.expires_on.timestamp()) - second
    if left < 1:
        raise ConfigurationError(
            "the S3 credentials have expired; renew the profile, role or variables that provide them"
        )
    return min(expires_in, left)


def _key(secret: str, day: str, region: str) -> tuple[_Hash, _Hash]:
    """Derive the signing key of a day, and return the two hash states of an HMAC with it."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac(key, part.encode(), "sha256")
    block = key.ljust(64, b"\0")
    return sha256(block.translate(_INNER)), sha256(block.translate(_OUTER))


def encode(value: str) -> str:
    """Percent-encode a value of a query as S3 does."""
    return value if _BARE(value) else _quoted(value)


def _encoded(query: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Encode a query twice: in the given order for the URL, and sorted for the signature."""
    pairs = [(name, encode(value)) for name, value in query]
    written = "&".join([f"{name}={value}" for name, value in pairs])
    ordered = sorted(pairs)
    return written, written if ordered == pairs else "&".join([f"{name}={value}" for name, value in ordered])


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return quote(text, safe="~")


def parse_endpoint(endpoint: str, variable: str) -> tuple[str, str, str, str]:
    """Split an endpoint into its authority as written, Host header, path prefix and scheme.

    Raises:
        ConfigurationError: it is not an endpoint; the message names the variable.
    """
    try:
        parts = urlsplit(endpoint)
        port, host = parts.port, parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in _DEFAULT_PORTS or parts.username or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{variable} is not the URL of an S3 server; it must be http(s)://host[:port], without user, "
            "query or fragment"
        )
    host = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{port}"
    return parts.netloc, host, parts.path.rstrip("/"), parts.scheme
