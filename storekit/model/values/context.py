"""The context of a change: facts about the request that caused it, which its events keep."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from storekit.errors import ValidationError
from storekit.model.values.json_values import encode_exact

MAX_BYTES = 4096
"""Size of a context as JSON text in Postgres, which checks it too."""


def encode_context(context: dict[str, Any] | None) -> str | None:
    """Return the context as JSON text.

    >>> encode_context({"request_id": "r-17"})
    '{"request_id": "r-17"}'

    Raises:
        ValidationError: it is not a dict of JSON values, or has more than 4,096 bytes.
    """
    if context is None:
        return None
    encoded = encode_exact(context, "context")
    text = json.dumps(encoded, ensure_ascii=False)
    size = len(text.encode()) + _expanded(encoded)
    if size > MAX_BYTES:
        raise ValidationError(f"it has {size:,} bytes as JSON; the limit is {MAX_BYTES:,}", field="context")
    return text


def _expanded(value: Any) -> int:
    """Return how many characters jsonb adds: it prints 1e-9 as 0.000000001."""
    match value:
        case float():
            return len(format(Decimal(repr(value)), "f")) - len(repr(value))
        case dict():
            return sum(map(_expanded, value.values()))
        case list():
            return sum(map(_expanded, value))
    return 0
