"""Who signs: static keys from the settings, or whatever botocore's chain finds and refreshes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from storekit.errors import ConfigurationError

if TYPE_CHECKING:
    from botocore.credentials import Credentials as Found

    from storekit.settings import Settings


@dataclass(frozen=True, slots=True)
class Credentials:
    """One set of keys; `expires_on` only when they are temporary."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_on: datetime | None = None


Provider = Callable[[], Credentials]
"""Answers the same object until the credentials change, so that whoever caches can compare by `is`."""


def provider(settings: Settings) -> Provider:
    """Choose the provider. The chain is asked at its first use, and may then read files or ask a network."""
    if settings.s3_access_key is None:
        return _Chain().current
    if settings.s3_secret_key is None:
        raise ConfigurationError("s3_access_key is set and s3_secret_key is not; set AWS_SECRET_ACCESS_KEY")
    token = settings.s3_session_token
    fixed = Credentials(
        settings.s3_access_key,
        settings.s3_secret_key.get_secret_value(),
        token.get_secret_value() if token else None,
    )
    return lambda: fixed


class _Chain:
    """botocore's credentials, which refresh themselves, as objects that change only when they do."""

    def __init__(self) -> None:
        self._last: Credentials | None = None

    def current(self) -> Credentials:
        found = self._found
        try:
            keys = found.get_frozen_credentials()
        except Exception as error:  # the chain's providers raise botocore's errors, the system's and others
            why = f"the AWS credential chain failed ({type(error).__name__})"
            raise ConfigurationError(f"{why}; renew the profile or role") from error
        # botocore tells the expiry nowhere in public; without it a URL would silently die before its time.
        expires_on = getattr(found, "_expiry_time", None)
        fresh = Credentials(keys.access_key or "", keys.secret_key or "", keys.token, expires_on)
        if fresh == self._last:
            return self._last
        self._last = fresh
        return fresh

    @cached_property
    def _found(self) -> Found:
        from botocore.session import Session

        found = Session().get_credentials()
        if found is None:
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile or role"
            raise ConfigurationError(f"the AWS credential chain is empty; {remedy}")
        return found
