"""Creating and checking the bucket on a real S3 server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from mypy_boto3_s3.type_defs import CORSRuleTypeDef
from pydantic import SecretStr

from storekit.drivers.s3.control import _client, ensure_bucket
from storekit.errors import ConfigurationError, Unavailable
from storekit.settings import Settings
from tests.integration.s3_parts import at

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def client(s3: Settings) -> Iterator[S3Client]:
    client = _client(s3)
    yield client
    client.close()


def test_a_new_bucket_is_configured(s3: Settings, client: S3Client) -> None:
    """The bucket has versioning, object lock without default retention, and drops unfinished uploads."""
    ensure_bucket(at(s3, s3_bucket="fresh"))
    assert client.get_bucket_versioning(Bucket="fresh")["Status"] == "Enabled"
    lock = client.get_object_lock_configuration(Bucket="fresh")["ObjectLockConfiguration"]
    assert lock == {"ObjectLockEnabled": "Enabled"}
    rules = client.get_bucket_lifecycle_configuration(Bucket="fresh")["Rules"]
    assert [rule["AbortIncompleteMultipartUpload"] for rule in rules] == [{"DaysAfterInitiation": 1}]
    assert client.get_bucket_cors(Bucket="fresh")["CORSRules"][0]["AllowedMethods"] == ["GET", "HEAD", "PUT"]


def test_configuring_again_keeps_other_rules(s3: Settings, client: S3Client) -> None:
    """A second run changes nothing, and keeps lifecycle rules of others."""
    settings = at(s3, s3_bucket="shared")
    ensure_bucket(settings)
    lifecycle = client.get_bucket_lifecycle_configuration(Bucket="shared")["Rules"]
    lifecycle.append(
        {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 9}}
    )
    client.put_bucket_lifecycle_configuration(Bucket="shared", LifecycleConfiguration={"Rules": lifecycle})
    theirs: CORSRuleTypeDef = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://their.example"]}
    client.put_bucket_cors(Bucket="shared", CORSConfiguration={"CORSRules": [theirs]})
    for _ in range(2):
        ensure_bucket(settings)
        rules = client.get_bucket_lifecycle_configuration(Bucket="shared")["Rules"]
        assert sorted(rule["ID"] for rule in rules) == ["storekit-abort-incomplete-multipart", "theirs"]
        origins = [rule["AllowedOrigins"] for rule in client.get_bucket_cors(Bucket="shared")["CORSRules"]]
        assert sorted(origins) == [["*"], ["https://their.example"]]


def test_a_bucket_without_versions_is_refused(s3: Settings, client: S3Client) -> None:
    """An existing bucket without versioning is refused with the remedy."""
    client.create_bucket(Bucket="plain")
    with pytest.raises(ConfigurationError, match=r"plain is not versioned; .*S3_BUCKET"):
        ensure_bucket(at(s3, s3_bucket="plain"))


def test_a_bucket_without_object_lock_is_refused(s3: Settings, client: S3Client) -> None:
    """An existing bucket without object lock is refused with the remedy."""
    client.create_bucket(Bucket="unlocked")
    client.put_bucket_versioning(Bucket="unlocked", VersioningConfiguration={"Status": "Enabled"})
    with pytest.raises(ConfigurationError, match=r"unlocked has no Object Lock; .*S3_BUCKET"):
        ensure_bucket(at(s3, s3_bucket="unlocked"))


def test_a_default_retention_is_refused(s3: Settings, client: S3Client) -> None:
    """A bucket with default retention is refused, because it would lock orphans for years."""
    client.create_bucket(Bucket="locking", ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket="locking",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    with pytest.raises(ConfigurationError, match="default retention"):
        ensure_bucket(at(s3, s3_bucket="locking"))


def test_wrong_credentials_are_not_shown(s3: Settings) -> None:
    """Credentials that S3 refuses raise a ConfigurationError without any secret."""
    with pytest.raises(ConfigurationError, match="403") as caught:
        ensure_bucket(at(s3, s3_bucket="mine", s3_secret_key=SecretStr("hush-hush")))
    assert "hush" not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.parametrize("bucket", [None, "no/bucket", "x"])
def test_a_missing_or_invalid_bucket_name_is_refused(s3: Settings, bucket: str | None) -> None:
    """A missing or invalid bucket name raises ConfigurationError."""
    with pytest.raises(ConfigurationError):
        ensure_bucket(at(s3, s3_bucket=bucket))


def test_an_unreachable_server_is_unavailable(s3: Settings) -> None:
    """A refused connection raises Unavailable."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable):
        ensure_bucket(at(s3, s3_endpoint_url=f"http://127.0.0.1:{port}"))
