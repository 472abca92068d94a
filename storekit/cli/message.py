"""How a command shows an error."""

from __future__ import annotations

from storekit.errors import StorekitError


def message(error: StorekitError) -> str:
    """Return an error as one line, with its detail: the operator needs the address and the cause."""
    return f"storekit: {error} ({error.detail})\n" if error.detail else f"storekit: {error}\n"
