"""Whether a partial unique key contains a row, decided by the encoded values of the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storekit.model.table.indexes import not_null
from storekit.model.values.codec import comparable


def contains(where: Mapping[str, Any], row: Mapping[str, Any], kinds: Mapping[str, str]) -> bool:
    """Return whether a key contains a row."""
    return all(_meets(wanted, row[column], kinds[column]) for column, wanted in where.items())


def leaves(where: Mapping[str, Any], values: Mapping[str, Any], kinds: Mapping[str, str]) -> bool:
    """Return whether a row with these new values is not in the key, whatever its other values are."""
    return any(
        column in values and not _meets(wanted, values[column], kinds[column])
        for column, wanted in where.items()
    )


def _meets(wanted: Any, value: Any, kind: str) -> bool:
    if wanted is None or wanted is not_null:
        return (value is None) == (wanted is None)
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    return comparable(value, kind) in [comparable(each, kind) for each in several]
