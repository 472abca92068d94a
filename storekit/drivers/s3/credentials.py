"""The credentials that sign requests: static keys from the settings, or botocore's credential chain."""

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
    """One set of keys; temporary keys have `expires_on`."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_on: datetime | None = None


Provider = Callable[[], Credentials]
"""Returns the same object until the credentials change, so that a cache can compare by identity."""


def provider(settings: Settings) -> Provider:
    """Return the provider that the settings select.

    botocore's chain is resolved at its first use, when it may read files or call a metadata service.
    """
    if settings.s3_access_key is None:
        return _Chain().current
    if settings.s3_secret_key is None:
        raise ConfigurationError("s3_access_key is set but s3_secret_key is not; set AWS_SECRET_ACCESS_KEY")
    token = settings.s3_session_token
    fixed = Credentials(
        settings.s3_access_key,
        settings.s3_secret_key.get_secret_value(),
        token.get_secret_value() if token else None,
        # keys without a token never expire, so the variable is left from other ones
        settings.s3_expires_on if token else None,
    )
    return lambda: fixed


class _Chain:
    """botocore's credentials, which refresh themselves; a new object is returned only for new keys."""

    def __init__(self) -> None:
        self._last: Credentials | None = None

    def current(self) -> Credentials:
        found = self._found
        try:
            keys = found.get_frozen_credentials()
        except Exception as error:  # providers raise errors of botocore, of the system and others
            why = f"the AWS credential chain failed ({type(error).__name__})"
            raise ConfigurationError(f"{why}; renew the profile or role") from error
        # botocore has no public attribute for the expiry. Without it a URL could expire before the time that
        # was promised to its caller.
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
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or configure a profile or role"
            raise ConfigurationError(f"the AWS credential chain is empty; {remedy}")
        return found
