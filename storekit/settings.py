"""Settings: the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from storekit.errors import ConfigurationError

_ENVIRONMENT = {
    "postgres_url": "POSTGRES_URL",
    "postgres_admin_url": "POSTGRES_ADMIN_URL",
    "postgres_worker_url": "POSTGRES_WORKER_URL",
    "postgres_reporter_url": "POSTGRES_REPORTER_URL",
    "prepare": "POSTGRES_PREPARE",
    "pool_min": "POSTGRES_POOL_MIN",
    "pool_size": "POSTGRES_POOL_SIZE",
    "pool_idle": "POSTGRES_POOL_IDLE",
    "pool_wait": "POSTGRES_POOL_WAIT",
    "pool_queue": "POSTGRES_POOL_QUEUE",
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


def _seconds(value: object) -> object:
    """Read a number of an environment variable as seconds; pydantic knows it from numbers alone."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]


class Settings(BaseModel):
    """Where the three stores are, and the limits. Secrets never show in a repr.

    A store is needed only by who uses it: no MongoDB without documents, no S3 without blobs.
    """

    # an error that quoted its input would quote a secret
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

    postgres_url: SecretStr | None = Field(default=None, description="a login in role storekit_app")
    postgres_admin_url: SecretStr | None = Field(
        default=None, description="a login that may become storekit_owner; migrate"
    )
    postgres_worker_url: SecretStr | None = Field(default=None, description="a login in role storekit_worker")
    postgres_reporter_url: SecretStr | None = Field(
        default=None, description="a login in role storekit_reporter"
    )
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
        default=timedelta(seconds=60),
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
        description="how long a write is its writer's alone",
    )
    beat: timedelta = Field(
        default=timedelta(seconds=20),
        gt=timedelta(),
        description="how often a long upload renews its lease; shorter than it",
    )
    wait: timedelta = Field(
        default=timedelta(seconds=75),
        ge=timedelta(),
        description="how long a save waits for another with its key",
    )
    timeout: timedelta = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=0.1),
        description="connect and answer time-out of every server",
    )
    max_url_life: timedelta = Field(
        default=timedelta(seconds=900),
        ge=timedelta(seconds=1),
        le=timedelta(days=7),
        description="longest `expires_in` of a URL",
    )
    max_puts: int = Field(default=32, ge=1, description="uploads in flight at once")
    pool_min: int = Field(
        default=2, ge=0, description="Postgres connections that stay open however idle; at most `pool_size`"
    )
    pool_size: int = Field(
        default=30, ge=1, description="most Postgres connections of this process, for each login"
    )
    pool_idle: Seconds = Field(
        default=timedelta(seconds=30),
        gt=timedelta(),
        description="after each such time one connection beyond `pool_min` that it did not need is closed",
    )
    pool_wait: Seconds = Field(
        default=timedelta(seconds=30),
        gt=timedelta(),
        description="how long a call waits for a connection when all are busy",
    )
    pool_queue: int = Field(
        default=1000, ge=1, description="calls that may wait for a connection; one more is refused at once"
    )
    prepare: bool = Field(default=True, description="prepared statements; False behind PgBouncer before 1.21")

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.beat >= self.lease:
            raise ValueError(f"beat is {self.beat} and must be shorter than lease, which is {self.lease}")
        return self

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment, or a mapping like it; unset and empty variables mean the default.

        >>> Settings.from_env({"S3_BUCKET": "records"}).s3_bucket
        'records'

        Raises:
            ConfigurationError: a variable's value cannot be used; the message names the variable.
        """
        environ = os.environ if environ is None else environ
        found = {field: environ[name] for field, name in _ENVIRONMENT.items() if environ.get(name)}
        if "s3_region" not in found and environ.get("AWS_DEFAULT_REGION"):
            found["s3_region"] = environ["AWS_DEFAULT_REGION"]
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            wrong = {_ENVIRONMENT[str(each["loc"][0])]: each["msg"] for each in error.errors()}
        raise ConfigurationError("; ".join(f"{name}: {why}" for name, why in wrong.items()))

    def to_env(self) -> dict[str, str]:
        """Name the variables that `from_env` reads these settings from, secrets included; unset means empty.

        >>> Settings(s3_bucket="records").to_env()["S3_BUCKET"]
        'records'
        """
        values = {name: getattr(self, field) for field, name in _ENVIRONMENT.items()}
        return {name: "" if value is None else _plain(value) for name, value in values.items()}


def _plain(value: SecretStr | timedelta | str | int) -> str:
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
