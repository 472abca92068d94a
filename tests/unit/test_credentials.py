"""The sources of the signer's credentials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import RefreshableCredentials
from pydantic import SecretStr

from storekit.drivers.s3.credentials import Credentials, provider
from storekit.drivers.s3.signer import Signer
from storekit.errors import ConfigurationError
from storekit.settings import Settings

CHAIN = "botocore.session.Session.get_credentials"


def test_credentials_in_settings_are_used() -> None:
    """Credentials from the settings are the same object for every URL."""
    settings = Settings(s3_access_key="AKIA", s3_secret_key=SecretStr("s"), s3_session_token=SecretStr("t"))
    credentials = provider(settings)
    assert credentials() == Credentials("AKIA", "s", "t")
    assert credentials() is credentials()


def test_temporary_keys_in_the_environment_expire() -> None:
    """No URL is valid after AWS_CREDENTIAL_EXPIRATION, the end of temporary keys in the environment."""
    expiry = datetime.now(UTC) + timedelta(seconds=60)
    keys = {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}

    def lifetime(**more: str) -> int:
        settings = Settings.from_env({**keys, "AWS_CREDENTIAL_EXPIRATION": expiry.isoformat(), **more})
        assert Settings.from_env(settings.to_env()) == settings
        signer = Signer("https://s3.example.org", "records", "us-east-1", provider(settings))
        return int(signer.sign("GET", "a", 900).partition("X-Amz-Expires=")[2].partition("&")[0])

    assert 50 < lifetime() <= 60
    assert lifetime(AWS_SESSION_TOKEN="") == 900  # permanent keys: the variable is left from other ones
    with pytest.raises(ConfigurationError, match="expired"):
        lifetime(AWS_CREDENTIAL_EXPIRATION="2020-01-01T00:00:00Z")
    with pytest.raises(ConfigurationError, match="AWS_CREDENTIAL_EXPIRATION"):
        lifetime(AWS_CREDENTIAL_EXPIRATION="2099-01-01T00:00:00")  # no time zone


def test_an_access_key_without_secret_is_refused() -> None:
    """An access key without its secret raises ConfigurationError at once."""
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        provider(Settings(s3_access_key="AKIA"))


def test_missing_credentials_are_refused_at_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the error says where to set them."""
    monkeypatch.setattr(CHAIN, lambda _: None)
    credentials = provider(Settings())
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        credentials()


def refreshable(issued: list[str], life: timedelta) -> RefreshableCredentials:
    """Return temporary credentials: each refresh takes the next key and fails if there is none."""

    def issue() -> dict[str, str]:
        expiry = (datetime.now(UTC) + life).isoformat()
        return {"access_key": issued.pop(0), "secret_key": "s", "token": "t", "expiry_time": expiry}

    return RefreshableCredentials.create_from_metadata(issue(), issue, "test")


def test_temporary_credentials_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are the same object until they are refreshed, and have their expiry."""
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


def test_a_failed_refresh_raises_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expired credentials that cannot be refreshed do not sign URLs."""
    role = refreshable(["first", "second"], timedelta(seconds=-1))
    monkeypatch.setattr(CHAIN, lambda _: role)
    with pytest.raises(ConfigurationError, match="renew"):
        provider(Settings())()
