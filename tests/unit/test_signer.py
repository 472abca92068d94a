"""The signer, compared with botocore's byte for byte."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.session import Session

from storekit import Settings
from storekit.drivers.runtime import ThreadRuntime
from storekit.drivers.s3.blobs import S3Blobs
from storekit.drivers.s3.credentials import Credentials
from storekit.drivers.s3.signer import LONGEST, Signer
from storekit.errors import ConfigurationError, UsageError
from storekit.ports.stores import BlobRef

ALPHABET = "abcXYZ019-_.~ +/=&%#?!*'();:@$,[]<>\"\\|^`{}äßéŁ中文字🙂\u00a0\u0301"
ENDPOINTS = (
    "https://s3.eu-central-1.amazonaws.com",
    "http://127.0.0.1:8333",
    "http://localhost:80",
    "https://storage.example.com:443",
    "https://storage.example.com:9443/",
    "http://[::1]:9000",
    "https://[2001:db8::7]",
    "http://MixedCase.example.com:8080",
)
REGIONS = ("us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "garage")
OVERRIDES = (
    "versionId", "response-content-type", "response-content-disposition", "response-cache-control",
    "response-content-language", "response-expires", "response-content-encoding", "partNumber", "uploadId",
)  # fmt: skip
HEADERS = ("if-none-match", "Content-Length", "content-type", "x-amz-checksum-sha256", "x-amz-checksum-mode")
SESSION = Session()
"""One for all tests: each session reads the files of its clients anew."""
AT = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)


def text(rng: random.Random, longest: int, alphabet: str = ALPHABET) -> str:
    return "".join(rng.choices(alphabet, k=rng.randint(1, longest)))


def credentials(rng: random.Random) -> Credentials:
    token = rng.choice((None, text(rng, 12), text(rng, 900, "abcXYZ019+/=")))
    return Credentials(text(rng, 20, "ABCDEF0123/+"), text(rng, 40), token)


def botocore_url(keys: Credentials, region: str, expires_in: int, at: datetime, request: AWSRequest) -> str:
    boto = BotoCredentials(keys.access_key, keys.secret_key, keys.token)
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("botocore.auth.get_current_datetime", lambda: at)
        S3SigV4QueryAuth(boto, "s3", region, expires_in).add_auth(request)
    assert request.url
    return request.url


def sign_twice(rng: random.Random) -> tuple[str, str]:
    """Sign one random request with storekit and with botocore."""
    endpoint, region, path_style = rng.choice(ENDPOINTS), rng.choice(REGIONS), rng.random() < 0.5
    path_style = path_style or "[" in endpoint  # an IPv6 address has no subdomain for the bucket
    bucket, keys, key = text(rng, 12, "abc019-."), credentials(rng), text(rng, 60)
    query = [(name, text(rng, 40)) for name in rng.sample(OVERRIDES, rng.randint(0, 4))]
    headers = {name: text(rng, 20, "abc0 =/;") + "." for name in rng.sample(HEADERS, rng.randint(0, 5))}
    method, expires_in = rng.choice(("GET", "PUT", "HEAD", "POST", "DELETE")), rng.randint(1, LONGEST)
    at = AT + timedelta(seconds=rng.randint(0, 10**8))
    signer = Signer(endpoint, bucket, region, lambda: keys, path_style=path_style)
    ours = signer.sign(method, key, expires_in, query=query, headers=headers, signed_on=at)
    url = ours.partition("?")[0]
    request = AWSRequest(method=method, url=url, headers=dict(headers), params=dict(query))
    return ours, botocore_url(keys, region, expires_in, at, request)


@pytest.mark.parametrize("cases", [200, pytest.param(10_000, marks=pytest.mark.long)])
def test_urls_equal_those_of_botocore(cases: int) -> None:
    """URLs of random requests equal botocore's byte for byte."""
    rng = random.Random(20240229)
    for number in range(cases):
        ours, boto = sign_twice(rng)
        assert ours == boto, f"case {number}"


def boto_client(endpoint: str, region: str, path_style: bool, keys: Credentials) -> Any:
    style: Literal["path", "virtual"] = "path" if path_style else "virtual"
    return SESSION.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )


@pytest.mark.parametrize("path_style", [True, False], ids=["path", "virtual"])
@pytest.mark.parametrize("endpoint", ["https://s3.example.com", "http://s3.example.com:8333"])
def test_urls_equal_those_of_boto3(endpoint: str, path_style: bool) -> None:
    """GET and PUT URLs, including host and path, equal those of `generate_presigned_url`."""
    rng = random.Random(7)
    keys = Credentials("AKIA/EXAMPLE", "secret+/", "token+/=")
    client = boto_client(endpoint, "eu-west-1", path_style, keys)
    signer = Signer(endpoint, "records", "eu-west-1", lambda: keys, path_style=path_style)
    for _ in range(20):
        key, version, name = "k" + text(rng, 60), text(rng, 32), text(rng, 40)
        get = {"Bucket": "records", "Key": key, "VersionId": version, "ResponseContentDisposition": name}
        query = [("versionId", version), ("response-content-disposition", name)]
        put = {"Bucket": "records", "Key": key, "IfNoneMatch": "*", "ContentLength": 5,
               "ContentType": "text/plain", "ChecksumSHA256": "c2hh"}  # fmt: skip
        headers = {"content-length": "5", "content-type": "text/plain", "if-none-match": "*",
                   "x-amz-checksum-sha256": "c2hh"}  # fmt: skip
        with patch("botocore.auth.get_current_datetime", return_value=AT):
            got = client.generate_presigned_url("get_object", Params=get, ExpiresIn=900)
            sent = client.generate_presigned_url("put_object", Params=put, ExpiresIn=60)
        assert signer.sign("GET", key, 900, query=query, signed_on=AT) == got
        assert signer.sign("PUT", key, 60, headers=headers, signed_on=AT) == sent


def test_the_url_of_a_version_equals_that_of_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GET of one version with any response overrides is signed as botocore signs it."""
    rng, keys = random.Random(11), Credentials("AKIA/EXAMPLE", "secret+/")
    settings = Settings.model_validate(
        {
            "s3_endpoint_url": "http://127.0.0.1:8333",
            "s3_bucket": "records",
            "s3_access_key": keys.access_key,
            "s3_secret_key": keys.secret_key,
        }
    )
    blobs = S3Blobs(settings, ThreadRuntime(1))
    monkeypatch.setattr("storekit.ids.now", lambda: AT)
    for _ in range(200):
        ref = BlobRef(text(rng, 60), text(rng, 32), 1, bytes(32), "text/plain")
        disposition, content_type = text(rng, 40), rng.choice((None, text(rng, 20)))
        query = {"response-cache-control": "no-store", "response-content-disposition": disposition}
        query |= {"response-content-type": content_type} if content_type else {}
        ours = blobs.sign(ref, 900, disposition, content_type)
        request = AWSRequest(
            method="GET", url=ours.partition("?")[0], params={**query, "versionId": ref.version_id}
        )
        assert ours == botocore_url(keys, "us-east-1", 900, AT, request)


class RotatingCredentials:
    """Credentials that the test replaces."""

    def __init__(self, *sets: Credentials) -> None:
        self._sets: Iterator[Credentials] = iter(sets)
        self.turn()

    def turn(self) -> None:
        self.now = next(self._sets)

    def __call__(self) -> Credentials:
        return self.now


def test_new_credentials_sign_the_next_url() -> None:
    """After a change of credentials no key derived from the former ones is used, even within one second."""
    old, new = Credentials("A", "first"), Credentials("A", "second")
    rotating = RotatingCredentials(old, new)
    signer = Signer("https://s3.example.com", "records", "us-east-1", rotating)
    before = signer.sign("GET", "a", 900, signed_on=AT)
    rotating.turn()
    after = signer.sign("GET", "a", 900, signed_on=AT)
    new_signer = Signer("https://s3.example.com", "records", "us-east-1", lambda: new)
    assert before != after == new_signer.sign("GET", "a", 900, signed_on=AT)


def test_the_cache_does_not_change_urls() -> None:
    """A signer that is used many times returns the same URLs as new signers do."""
    rng, keys = random.Random(3), Credentials("A", "secret")
    used = Signer("https://s3.example.com", "records", "us-east-1", lambda: keys)
    for _ in range(500):
        at = AT + timedelta(seconds=rng.choice((0, 0, 0, 1, 2, 86_400)))
        headers = {"if-none-match": "*"} if rng.random() < 0.3 else None
        life = rng.choice((60, 900))
        new_signer = Signer("https://s3.example.com", "records", "us-east-1", lambda: keys)
        expected = new_signer.sign("GET", "a", life, headers=headers, signed_on=at)
        assert used.sign("GET", "a", life, headers=headers, signed_on=at) == expected


def test_a_url_does_not_outlive_its_credentials() -> None:
    """A URL expires at the latest with its credentials; expired credentials do not sign."""
    keys = Credentials("A", "secret", "token", AT + timedelta(seconds=100))
    signer = Signer("https://s3.example.com", "records", "us-east-1", lambda: keys)
    assert "X-Amz-Expires=60&" in signer.sign("GET", "a", 60, signed_on=AT)
    assert "X-Amz-Expires=100&" in signer.sign("GET", "a", 900, signed_on=AT)
    with pytest.raises(ConfigurationError, match="expired"):
        signer.sign("GET", "a", 900, signed_on=AT + timedelta(seconds=100))


@pytest.mark.parametrize("life", [0, -1, LONGEST + 1])
def test_a_lifetime_that_s3_refuses_is_refused(life: int) -> None:
    """A URL is valid for one second to seven days."""
    signer = Signer("https://s3.example.com", "records", "us-east-1", lambda: Credentials("A", "s"))
    with pytest.raises(UsageError, match=f"{life} s"):
        signer.sign("GET", "a", life)


@pytest.mark.parametrize(
    "endpoint", ["", "s3.example.com", "ftp://s3", "https://user:pw@s3", "https://s3?x=1", "https://s3:port"]
)
def test_an_invalid_endpoint_is_refused(endpoint: str) -> None:
    """An endpoint is scheme, host and port; the error does not contain it."""
    with pytest.raises(ConfigurationError, match="S3_ENDPOINT_URL") as caught:
        Signer(endpoint, "records", "us-east-1", lambda: Credentials("A", "s"))
    assert "pw" not in str(caught.value)


def test_the_repr_of_credentials_has_no_secret() -> None:
    """The repr of credentials contains neither the secret key nor the token."""
    shown = repr(Credentials("AKIA", "hush-secret", "hush-token"))
    assert "AKIA" in shown
    assert "hush" not in shown
