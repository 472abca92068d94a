"""How the demo finds what is wrong."""

from __future__ import annotations

from storekit.errors import Corrupt


def expect(what: str, expected: object, found: object) -> None:
    """Compare what is with what must be.

    Raises:
        Corrupt: they differ.
    """
    if expected != found:
        raise Corrupt(what, str(expected), str(found))
