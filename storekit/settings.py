"""Settings. No other module reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from storekit.errors import ConfigurationError

VARIABLES = {
    "postgres_url": "POSTGRES_URL",
    "postgres_admin_url": "POSTGRES_ADMIN_URL",
    "postgres_worker_url": "POSTGRES_WORKER_URL",
    "postgres_reporter_url": "POSTGRES_REPORTER_URL",
    "postgres_tls": "POSTGRES_TLS",
    "prepare": "POSTGRES_PREPARE",
    "pool_min": "POSTGRES_POOL_MIN",
    "pool_size": "POSTGRES_POOL_SIZE",
    "pool_idle": "POSTGRES_POOL_IDLE",
    "pool_wait": "POSTGRES_POOL_WAIT",
    "pool_queue": "POSTGRES_POOL_QUEUE",
    "mongo_url": "MONGO_URL",
    "mongo_database": "MONGO_DATABASE",
    "mongo_tls": "MONGO_TLS",
    "s3_endpoint_url": "S3_ENDPOINT_URL",
    "s3_public_url": "S3_PUBLIC_URL",
    "s3_tls": "S3_TLS",
    "s3_bucket": "S3_BUCKET",
    "s3_region": "AWS_REGION",
    "s3_access_key": "AWS_ACCESS_KEY_ID",
    "s3_secret_key": "AWS_SECRET_ACCESS_KEY",
    "s3_session_token": "AWS_SESSION_TOKEN",
    "s3_expires_on": "AWS_CREDENTIAL_EXPIRATION",
    "lease": "STOREKIT_LEASE",
    "renew_every": "STOREKIT_RENEW_EVERY",
    "idempotency_wait": "STOREKIT_IDEMPOTENCY_WAIT",
    "timeout": "STOREKIT_TIMEOUT",
    "max_url_lifetime": "STOREKIT_MAX_URL_LIFETIME",
    "max_puts": "STOREKIT_MAX_PUTS",
}
"""The environment variable of each setting."""


def _seconds(value: object) -> object:
    """Convert the text of an environment variable to a number, which pydantic reads as seconds."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]


class Login(StrEnum):
    """The Postgres logins that a store uses; each has a connection URL in `Settings`."""

    APP = "app"
    ADMIN = "admin"
    REPORTER = "reporter"
    WORKER = "worker"


class Tls(StrEnum):
    """Whether connections to a store must be encrypted, with a verified certificate."""

    REQUIRED = "required"
    """Required for every host, except loopback addresses, `localhost` and socket files."""
    OPTIONAL = "optional"
    """The URL decides, also for connections in the clear."""


def _tls(store: str) -> Any:
    return Field(
        default=Tls.REQUIRED,
        description=f"`required`: a connection to {store} on another machine must use TLS and verify the "
        "certificate of the server; any other is refused before a password is sent. `optional`: the URL "
        "decides",
    )


class Settings(BaseModel):
    """Addresses and credentials of the three stores, and limits. The repr contains no secret.

    Configure only the stores that you use: MongoDB for documents, S3 for blobs. `docs/reference/settings.md`
    lists the environment variable, the unit and the range of each setting.
    """

    # pydantic would quote the invalid input in its errors, and that may be a secret
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

    postgres_url: SecretStr | None = Field(
        default=None,
        description="connection URL of a login that is a member of the role storekit_app; "
        "required by every store",
    )
    postgres_admin_url: SecretStr | None = Field(
        default=None,
        description="connection URL of a login that has CREATEROLE and owns the database; "
        "required by migrate, schema and store.admin",
    )
    postgres_worker_url: SecretStr | None = Field(
        default=None,
        description="connection URL of a login that is a member of the role storekit_worker; "
        "required by store.relay, storekit relay and storekit doctor",
    )
    postgres_reporter_url: SecretStr | None = Field(
        default=None,
        description="connection URL of a login that is a member of the role storekit_reporter; "
        "required by store.report",
    )
    postgres_tls: Tls = _tls("Postgres")
    mongo_url: SecretStr | None = Field(
        default=None, description="connection URL, mongodb://...; required by classes with documents"
    )
    mongo_database: str = Field(
        default="storekit", description="name of the database that contains the collections"
    )
    mongo_tls: Tls = _tls("MongoDB")
    s3_endpoint_url: str | None = Field(
        default=None, description="URL of the S3 server; None means AWS in `s3_region`"
    )
    s3_public_url: str | None = Field(
        default=None,
        description="URL of the S3 server in signed URLs, as clients can reach it; None means "
        "`s3_endpoint_url`",
    )
    s3_tls: Tls = _tls("S3")
    s3_bucket: str | None = Field(
        default=None,
        description="name of the bucket; required by classes with blobs. migrate creates it with versioning "
        "and Object Lock",
    )
    s3_region: str = Field(default="us-east-1", description="region of the bucket")
    s3_access_key: str | None = Field(
        default=None, description="access key ID; None means the AWS default chain (profile, instance role)"
    )
    s3_secret_key: SecretStr | None = Field(default=None, description="secret access key of `s3_access_key`")
    s3_session_token: SecretStr | None = Field(
        default=None, description="session token of temporary credentials; None means that they are permanent"
    )
    s3_expires_on: AwareDatetime | None = Field(
        default=None,
        description="time at which the temporary credentials of `s3_session_token` expire; no signed URL "
        "is valid longer",
    )

    lease: Seconds = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
        description="time after which another process may take over a write that has not committed. While a "
        "long upload runs, the lease is renewed",
    )
    renew_every: Seconds = Field(
        default=timedelta(seconds=20),
        gt=timedelta(),
        description="interval at which a running upload renews its lease; must be shorter than `lease`",
    )
    # Longer than the lease: a caller whose predecessor was killed takes the key over instead of raising. The
    # other 15 s are for a commit of that predecessor that still runs, since no other write takes its key.
    idempotency_wait: Seconds = Field(
        default=timedelta(seconds=75),
        ge=timedelta(),
        description="longest time that a save waits for another save with the same idempotency key before it "
        "raises InProgress; 0 means that it does not wait",
    )
    timeout: Seconds = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=0.1),
        description="longest time to connect to a server or to receive a response from it",
    )
    max_url_lifetime: Seconds = Field(
        default=timedelta(seconds=900),
        ge=timedelta(seconds=1),
        le=timedelta(days=7),
        description="largest `expires_in` of a signed URL",
    )
    max_puts: int = Field(default=32, ge=1, description="maximum number of concurrent uploads of one save")
    pool_min: int = Field(
        default=2,
        ge=0,
        description="number of Postgres connections that stay open when idle; at most `pool_size`",
    )
    pool_size: int = Field(
        default=30, ge=1, description="maximum number of Postgres connections of a process, for each login"
    )
    pool_idle: Seconds = Field(
        default=timedelta(seconds=30),
        gt=timedelta(),
        description="interval at which the pool closes one of the connections above `pool_min`, if it was "
        "not needed during the interval",
    )
    pool_wait: Seconds = Field(
        default=timedelta(seconds=30),
        gt=timedelta(),
        description="longest time that a call waits for a connection when all connections are busy",
    )
    pool_queue: int = Field(
        default=1000,
        ge=1,
        description="maximum number of calls that wait for a connection; a further call raises Unavailable",
    )
    prepare: bool = Field(
        default=True, description="use prepared statements; set it to False behind PgBouncer older than 1.21"
    )

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.renew_every >= self.lease:
            renewed, lease = self.renew_every.total_seconds(), self.lease.total_seconds()
            raise ValueError(
                f"renew_every (STOREKIT_RENEW_EVERY) is {renewed:g} s; it must be shorter than lease "
                f"(STOREKIT_LEASE), which is {lease:g} s"
            )
        return self

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read settings from environment variables, or from a mapping. An unset or empty variable is ignored.

        >>> Settings.from_env({"S3_BUCKET": "records"}).s3_bucket
        'records'

        Raises:
            ConfigurationError: a variable has an invalid value; the message names the variable.
        """
        environ = os.environ if environ is None else environ
        found = {field: environ[name] for field, name in VARIABLES.items() if environ.get(name)}
        if "s3_region" not in found and environ.get("AWS_DEFAULT_REGION"):
            found["s3_region"] = environ["AWS_DEFAULT_REGION"]
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            wrong = [_fault(each["loc"], each["msg"]) for each in error.errors()]
        raise ConfigurationError("; ".join(wrong))

    def to_env(self) -> dict[str, str]:
        """Return the variables that `from_env` reads, including secrets. An empty value means not set.

        >>> Settings(s3_bucket="records").to_env()["S3_BUCKET"]
        'records'
        """
        values = {name: getattr(self, field) for field, name in VARIABLES.items()}
        return {name: "" if value is None else _plain(value) for name, value in values.items()}


def _fault(place: tuple[int | str, ...], why: str) -> str:
    """Return what is wrong with a variable; a rule about two settings names both itself."""
    return f"{VARIABLES[str(place[0])]}: {why}" if place else why.removeprefix("Value error, ")


def _plain(value: SecretStr | timedelta | datetime | str | int) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
