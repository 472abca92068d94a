"""The generated credentials of a stack."""

from __future__ import annotations

from collections.abc import Iterable
from secrets import token_urlsafe

from storekit.embedded.directory import Directory
from storekit.errors import ConfigurationError

_FILE = "secrets.json"


def credentials(directory: Directory, names: Iterable[str]) -> dict[str, str]:
    """Return the credentials, generating missing ones.

    Raises:
        ConfigurationError: the file is missing, but there is data of servers that needs its passwords.
    """
    known: dict[str, str] = directory.read(_FILE)
    if not known and ((directory.path / "postgres").exists() or (directory.path / "mongo").exists()):
        raise ConfigurationError(
            f"{directory.path / _FILE} is missing, which contains the passwords of these servers; "
            "restore it, or delete the whole directory with its data"
        )
    missing = {name: token_urlsafe(24) for name in names if name not in known}
    if missing:
        known = {**known, **missing}
        directory.write(_FILE, known)
    return known
