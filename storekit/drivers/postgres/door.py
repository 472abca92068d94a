"""The way in: POSTGRES_URL read once, and what a server said to a login that it would not let in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from storekit.errors import ConfigurationError
from storekit.settings import Settings

# libpq tells no SQLSTATE of a connection that never was
_REFUSAL = re.compile(
    r"[\w ]*authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist"
    r"|database .* does not exist|role .* is not permitted to log in|permission denied for database"
)


class Door:
    """Where the server is, and whether it let this login in. No secret passes it."""

    def __init__(self, settings: Settings) -> None:
        if settings.postgres_url is None:
            raise ConfigurationError("POSTGRES_URL is not set: a login in role storekit_app")
        self.keywords = _parsed(settings.postgres_url.get_secret_value())
        host = self.keywords.get("host") or self.keywords.get("hostaddr") or "its default host"
        self.place = f"{host}:{self.keywords.get('port', 5432)}"
        self.entered = False
        self._refusal = ""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note how an attempt to connect ends; psycopg's pool logs what it raises."""
        try:
            yield
        except psycopg.OperationalError as error:
            said = str(error)
            refused = _REFUSAL.search(said)
            self._refusal = refused[0].strip() if refused else ""
        else:
            self.entered, self._refusal = True, ""
            return
        secret = self.keywords.get("password")
        raise psycopg.OperationalError(said.replace(secret, "***") if secret else said)

    def raise_refusal(self) -> None:
        """Raise if the server refused the login: waiting would not help."""
        if self._refusal:
            login = self.keywords.get("user", "the default login")
            raise ConfigurationError(
                f"postgres at {self.place} refused {login}: {self._refusal}; check POSTGRES_URL"
            )


def _parsed(url: str) -> dict[str, Any]:
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        found = {"port": "unreadable"}
    # a password that is not percent-encoded spills over into what follows it
    spilt = any("@" in str(found.get(name, ""))[1:] for name in ("host", "dbname"))
    if spilt or not re.fullmatch(r"[\d,]*", str(found.get("port", ""))):
        raise ConfigurationError(
            "POSTGRES_URL cannot be read; it is postgresql://login:password@host:port/database, login and "
            "password percent-encoded"
        )
    return found
