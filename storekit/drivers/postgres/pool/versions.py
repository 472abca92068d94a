"""The supported versions of the server. Older minor releases have known vulnerabilities in row-level
security."""

from __future__ import annotations

OLDEST = 15
PATCHED = {15: 14, 16: 10, 17: 6}
"""The minor release of each major version that fixed CVE-2024-10976 and CVE-2025-8713; later major versions
are not affected."""


def unsupported(version: int) -> str | None:
    """Return why a server of this version (180006 is 18.6) is not supported; None if it is.

    >>> unsupported(150003)
    'version 15.3 has known vulnerabilities in row-level security; upgrade it to 15.14 or newer'
    >>> unsupported(180006)
    """
    major, minor = divmod(version, 10_000)
    if major < OLDEST:
        return f"version {major} is too old; storekit needs {OLDEST} or newer"
    if minor < PATCHED.get(major, 0):
        holes = f"version {major}.{minor} has known vulnerabilities in row-level security"
        return f"{holes}; upgrade it to {major}.{PATCHED[major]} or newer"
    return None
