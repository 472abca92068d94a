"""The control plane: the bucket as storekit needs it, made and checked with boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storekit.errors import ConfigurationError, Unavailable
from storekit.schema.files import root
from storekit.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = {"404", "NoSuchBucket", "NotFound"}
_OURS_ALREADY = {"BucketAlreadyOwnedByYou"}
_NOTHING_SET = {
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "ObjectLockConfigurationNotFoundError",
}


def ensure_bucket(settings: Settings) -> None:
    """Create the bucket, versioned and with Object Lock, or check that the one that is there is so.

    Sets storekit's own lifecycle and CORS rules and leaves all others alone. Can be repeated.

    Raises:
        ConfigurationError: the bucket cannot hold storekit's bytes, or the credentials may not see to it.
        Unavailable: S3 could not be reached.
    """
    bucket = settings.s3_bucket
    if not bucket:
        raise ConfigurationError("no S3 bucket is set; set S3_BUCKET")
    with _translated(bucket):
        client = _client(settings)
        if not _exists(client, bucket):
            _create(client, bucket, settings)
        _check(client, bucket)
        _set_lifecycle(client, bucket)
        _set_cors(client, bucket)
        client.close()


def _client(settings: Settings) -> S3Client:
    import boto3
    from botocore.config import Config

    seconds = settings.timeout.total_seconds()
    secret, token = settings.s3_secret_key, settings.s3_session_token
    config = Config(
        signature_version="s3v4",
        connect_timeout=seconds,
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        aws_session_token=token.get_secret_value() if token else None,
        config=config,
    )


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

    # AWS wants the region named everywhere but in us-east-1, where it refuses the name.
    elsewhere: Any = {"CreateBucketConfiguration": {"LocationConstraint": settings.s3_region}}
    where = {} if settings.s3_region == "us-east-1" else elsewhere
    try:
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True, **where)
    except ClientError as error:
        if _code(error) not in _OURS_ALREADY:  # another deployer was faster
            raise


def _check(client: S3Client, bucket: str) -> None:
    remedy = "name one in S3_BUCKET that does not exist yet, and store.migrate() creates it rightly"
    if client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        raise ConfigurationError(f"bucket {bucket} is not versioned; {remedy}")
    with _unset_is_empty() as lock:
        lock.update(client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"])
    if lock.get("ObjectLockEnabled") != "Enabled":
        raise ConfigurationError(f"bucket {bucket} has no Object Lock; {remedy}")
    if "DefaultRetention" in lock.get("Rule", {}):
        raise ConfigurationError(
            f"bucket {bucket} has a default retention, which would lock what no commit points at; remove it"
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
    """Put our rules among those found; nothing, when they are there already."""
    ours = json.loads((root() / "s3" / f"{schema}.json").read_text())[name]
    theirs = found.get(name, [])
    ids = {rule["ID"] for rule in ours}
    if all(rule in theirs for rule in ours):
        return []
    return [*(rule for rule in theirs if rule.get("ID") not in ids), *ours]


@contextmanager
def _unset_is_empty() -> Iterator[dict[str, Any]]:
    """Give a dict to fill with a configuration; one that was never set leaves it empty."""
    from botocore.exceptions import ClientError

    try:
        yield {}
    except ClientError as error:
        if _code(error) not in _NOTHING_SET:
            raise


@contextmanager
def _translated(bucket: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnection

    try:
        yield
    except (NoConnection, HTTPClientError) as error:
        raise Unavailable("s3", f"no answer ({type(error).__name__})") from error
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        what = f"{error.operation_name} of bucket {bucket} was answered {status} {_code(error)}"
        if status >= 500:
            raise Unavailable("s3", what) from error
        raise ConfigurationError(f"{what}; check the credentials, their rights and S3_BUCKET") from error
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"S3 is not set up rightly ({type(error).__name__}: {error})") from error


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
