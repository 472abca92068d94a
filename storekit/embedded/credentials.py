"""The generated credentials of a stack."""

from __future__ import annotations

from collections.abc import Iterable
from secrets import token_urlsafe

from storekit.embedded.directory import Home
from storekit.errors import ConfigurationError

_FILE = "secrets.json"


def credentials(home: Home, names: Iterable[str]) -> dict[str, str]:
    """Read the credentials, making those that are not there yet.

    Raises:
        ConfigurationError: the file is gone, and the servers' data still asks for what was in it.
    """
    known: dict[str, str] = home.read(_FILE)
    if not known and ((home.path / "postgres").exists() or (home.path / "mongo").exists()):
        raise ConfigurationError(
            f"{home.path / _FILE} is gone, and with it the passwords of the data beside it; "
            "restore it, or remove the whole directory and its data"
        )
    missing = {name: token_urlsafe(24) for name in names if name not in known}
    if missing:
        known = {**known, **missing}
        home.write(_FILE, known)
    return known
