"""Create and check the bucket with boto3."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storekit.drivers.s3.secure import check_tls
from storekit.drivers.s3.signer import parse_endpoint
from storekit.errors import ConfigurationError, Unavailable
from storekit.schema.files import root
from storekit.settings import Settings

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client

_MISSING = {"404", "NoSuchBucket", "NotFound"}
_OURS_ALREADY = {"BucketAlreadyOwnedByYou"}
_VARIABLES_OF_AWS = (
    *("profile", "ca_bundle", "max_attempts", "retry_mode"),
    *("use_fips_endpoint", "use_dualstack_endpoint"),
)
_NOTHING_SET = {
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "ObjectLockConfigurationNotFoundError",
}


def ensure_bucket(settings: Settings) -> None:
    """Create the bucket with versioning and Object Lock, or check that the existing bucket has both.

    Sets storekit's own lifecycle and CORS rules and keeps all others. May be called again.

    Raises:
        ConfigurationError: the bucket is not set up as required, or the credentials lack a permission.
        Unavailable: S3 cannot be reached.
    """
    bucket = settings.s3_bucket
    if not bucket:
        raise ConfigurationError("S3_BUCKET is not set")
    check_tls(settings)
    if settings.s3_endpoint_url:
        parse_endpoint(settings.s3_endpoint_url, "S3_ENDPOINT_URL")  # boto3's errors name no variable
    with _translated(bucket, settings):
        client = _client(settings)
        # Check first: the credentials may lack CreateBucket if the bucket exists.
        if not _exists(client, bucket):
            _create(client, bucket, settings)
        _check(client, bucket)
        _set_lifecycle(client, bucket)
        _set_cors(client, bucket)
        client.close()


def _client(settings: Settings) -> S3Client:
    from botocore.config import Config

    seconds = settings.timeout.total_seconds()
    secret, token = settings.s3_secret_key, settings.s3_session_token
    config = Config(
        signature_version="s3v4",
        connect_timeout=seconds,
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": 3},
        proxies={},  # as in the data plane: a bucket that only the control plane could reach would not help
        # AWS_ENDPOINT_URL would apply to this client alone, so the bucket would be set up on another server
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs lack it
        s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
    )
    return _session(settings).client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        aws_session_token=token.get_secret_value() if token else None,
        config=config,
    )


def _session(settings: Settings) -> Session:
    """Return a session. With a server and a key in the settings it ignores the variables and files of AWS.

    They may name a profile that does not exist, or a kind of endpoint that only AWS has.
    """
    import boto3
    from botocore.session import Session as Found

    if not (settings.s3_endpoint_url and settings.s3_access_key):
        return boto3.session.Session()
    # each is (name in the configuration file, variable, default, conversion)
    ignored = dict.fromkeys(_VARIABLES_OF_AWS, (None, None, None, None))
    files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    return boto3.session.Session(botocore_session=Found(session_vars={**ignored, **files}))


def _exists(client: S3Client, bucket: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if _code(error) in _MISSING:
            return False
        raise
    return True


def _create(client: S3Client, bucket: str, settings: Settings) -> None:
    from botocore.exceptions import ClientError

    # AWS requires a LocationConstraint in every region but us-east-1, where it refuses one.
    constraint: Any = {"CreateBucketConfiguration": {"LocationConstraint": settings.s3_region}}
    where = {} if settings.s3_region == "us-east-1" else constraint
    try:
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True, **where)
    except ClientError as error:
        if _code(error) not in _OURS_ALREADY:  # another deployer created it meanwhile
            raise


def _check(client: S3Client, bucket: str) -> None:
    # Object Lock cannot be switched on later outside AWS, and objects without versions cannot be deleted
    # safely.
    remedy = "set S3_BUCKET to a bucket that does not exist yet, and store.migrate() will create it"
    if client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        raise ConfigurationError(f"bucket {bucket} is not versioned; {remedy}")
    with _unset_is_empty() as lock:
        lock.update(client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"])
    if lock.get("ObjectLockEnabled") != "Enabled":
        raise ConfigurationError(f"bucket {bucket} has no Object Lock; {remedy}")
    if "DefaultRetention" in lock.get("Rule", {}):
        raise ConfigurationError(
            f"bucket {bucket} has a default retention, which would also lock uncommitted objects; remove it"
        )


def _set_lifecycle(client: S3Client, bucket: str) -> None:
    with _unset_is_empty() as found:
        found.update(client.get_bucket_lifecycle_configuration(Bucket=bucket))
    rules = _merged("lifecycle", "Rules", found)
    if rules:
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _set_cors(client: S3Client, bucket: str) -> None:
    with _unset_is_empty() as found:
        found.update(client.get_bucket_cors(Bucket=bucket))
    rules = _merged("cors", "CORSRules", found)
    if rules:
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


def _merged(schema: str, name: str, found: dict[str, Any]) -> list[Any]:
    """Return the existing rules with those of storekit added; an empty list if nothing must be added."""
    ours = json.loads((root() / "s3" / f"{schema}.json").read_text())[name]
    theirs = found.get(name, [])
    ids = {rule["ID"] for rule in ours}
    if all(rule in theirs for rule in ours):
        return []
    return [*(rule for rule in theirs if rule.get("ID") not in ids), *ours]


@contextmanager
def _unset_is_empty() -> Iterator[dict[str, Any]]:
    """Yield a dict for a configuration. It stays empty if the bucket has no such configuration."""
    from botocore.exceptions import ClientError

    try:
        yield {}
    except ClientError as error:
        if _code(error) not in _NOTHING_SET:
            raise


@contextmanager
def _translated(bucket: str, settings: Settings) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnection

    try:
        yield
    except (NoConnection, HTTPClientError) as error:
        raise Unavailable(
            "s3",
            "no response from S3_ENDPOINT_URL",
            detail=f"{settings.s3_endpoint_url or 'AWS'}: {type(error).__name__}",
        ) from error
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        what = f"{error.operation_name} of bucket {bucket} returned {status} {_code(error)}"
        if status >= 500:
            raise Unavailable("s3", what) from error
        raise ConfigurationError(f"{what}; check the credentials, their permissions and S3_BUCKET") from error
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"the S3 settings cannot be used ({type(error).__name__}: {error})"
        ) from error


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
