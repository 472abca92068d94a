"""Where the signer's keys come from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import RefreshableCredentials
from pydantic import SecretStr

from storekit.drivers.s3.credentials import Credentials, provider
from storekit.errors import ConfigurationError
from storekit.settings import Settings

CHAIN = "botocore.session.Session.get_credentials"


def test_keys_of_the_settings_are_used_as_they_are() -> None:
    """Static keys are one object for ever."""
    settings = Settings(s3_access_key="AKIA", s3_secret_key=SecretStr("s"), s3_session_token=SecretStr("t"))
    credentials = provider(settings)
    assert credentials() == Credentials("AKIA", "s", "t")
    assert credentials() is credentials()


def test_half_a_key_is_refused() -> None:
    """An access key without its secret is a configuration error at once."""
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        provider(Settings(s3_access_key="AKIA"))


def test_an_empty_chain_is_refused_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys anywhere the error says where to put them."""
    monkeypatch.setattr(CHAIN, lambda _: None)
    credentials = provider(Settings())
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        credentials()


def refreshable(issued: list[str], life: timedelta) -> RefreshableCredentials:
    """Credentials of a role: each refresh takes the next key and fails when there is none."""

    def issue() -> dict[str, str]:
        expiry = (datetime.now(UTC) + life).isoformat()
        return {"access_key": issued.pop(0), "secret_key": "s", "token": "t", "expiry_time": expiry}

    return RefreshableCredentials.create_from_metadata(issue(), issue, "test")


def test_temporary_keys_change_when_they_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys stay one object while they last, and tell when they end; refreshed ones are new."""
    role = refreshable(["first", "second"], timedelta(hours=1))
    monkeypatch.setattr(CHAIN, lambda _: role)
    credentials = provider(Settings())
    first = credentials()
    assert first.access_key == "first"
    assert first.expires_on is not None
    assert timedelta(minutes=59) < first.expires_on - datetime.now(UTC) <= timedelta(hours=1)
    assert credentials() is first
    monkeypatch.setattr(role, "_expiry_time", datetime.now(UTC))
    assert credentials().access_key == "second"


def test_a_refresh_that_fails_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that could not be renewed and are over sign nothing."""
    role = refreshable(["first", "second"], timedelta(seconds=-1))
    monkeypatch.setattr(CHAIN, lambda _: role)
    with pytest.raises(ConfigurationError, match="renew"):
        provider(Settings())()
