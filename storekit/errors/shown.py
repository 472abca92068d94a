"""Quote the beginning of a value in an error message."""

from __future__ import annotations

SHOWN = 60
"""Characters of a value in an error message."""


def shown(value: object) -> str:
    """Return the beginning of a value as Python writes it, for error messages.

    >>> shown("x" * 100)[-4:]
    'x...'
    """
    # a long text is cut first: its repr would be longer still
    text = repr(value[: SHOWN + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
