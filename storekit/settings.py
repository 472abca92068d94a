"""Settings: the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_ENVIRONMENT = {
    "postgres_url": "POSTGRES_URL",
    "postgres_admin_url": "POSTGRES_ADMIN_URL",
    "postgres_worker_url": "POSTGRES_WORKER_URL",
    "mongo_url": "MONGO_URL",
    "mongo_database": "MONGO_DATABASE",
    "s3_endpoint_url": "S3_ENDPOINT_URL",
    "s3_public_url": "S3_PUBLIC_URL",
    "s3_bucket": "S3_BUCKET",
    "s3_region": "AWS_REGION",
    "s3_access_key": "AWS_ACCESS_KEY_ID",
    "s3_secret_key": "AWS_SECRET_ACCESS_KEY",
    "s3_session_token": "AWS_SESSION_TOKEN",
}


class Settings(BaseModel):
    """Where the three stores are, and the limits. Secrets never show in a repr.

    A store is needed only by who uses it: no MongoDB without documents, no S3 without blobs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    postgres_url: SecretStr | None = Field(default=None, description="a login in role storekit_app")
    postgres_admin_url: SecretStr | None = Field(
        default=None, description="a login that may become storekit_owner; migrate"
    )
    postgres_worker_url: SecretStr | None = Field(default=None, description="a login in role storekit_worker")
    mongo_url: SecretStr | None = Field(default=None, description="mongodb://...")
    mongo_database: str = Field(default="storekit", description="database of the collections")
    s3_endpoint_url: str | None = Field(default=None, description="None means AWS in `s3_region`")
    s3_public_url: str | None = Field(
        default=None, description="endpoint that URLs are signed for; None means s3_endpoint_url"
    )
    s3_bucket: str | None = Field(default=None, description="versioned, created with Object Lock by migrate")
    s3_region: str = Field(default="us-east-1", description="region of the bucket and of its signatures")
    s3_access_key: str | None = Field(
        default=None, description="None means the usual AWS chain (profile, instance role)"
    )
    s3_secret_key: SecretStr | None = None
    s3_session_token: SecretStr | None = None

    lease: timedelta = Field(
        default=timedelta(seconds=60), description="how long a write is its writer's alone"
    )
    beat: timedelta = Field(
        default=timedelta(seconds=20), description="how often a long upload renews its lease"
    )
    wait: timedelta = Field(
        default=timedelta(seconds=75), description="how long a save waits for another with its key"
    )
    timeout: timedelta = Field(
        default=timedelta(seconds=10), description="connect and answer time-out of every server"
    )
    max_url_life: timedelta = Field(
        default=timedelta(seconds=900), description="longest `expires_in` of a URL"
    )
    max_puts: int = Field(default=32, ge=1, description="uploads in flight at once")
    pool_size: int = Field(default=30, ge=1, description="most Postgres connections of this process")
    prepare: bool = Field(default=True, description="prepared statements; False behind PgBouncer before 1.21")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment; unset and empty variables mean the default.

        >>> Settings.from_env({"S3_BUCKET": "records"}).s3_bucket
        'records'
        """
        found = {field: environ[name] for field, name in _ENVIRONMENT.items() if environ.get(name)}
        if "s3_region" not in found and environ.get("AWS_DEFAULT_REGION"):
            found["s3_region"] = environ["AWS_DEFAULT_REGION"]
        return cls.model_validate(found)
