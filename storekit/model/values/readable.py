"""Check that a class can hold a value that Postgres returned.

A save checks every value, but another version of the class or hand-written SQL may have written others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from storekit.model.table.table import Column
from storekit.model.values.codec import decode_column


def readable(column: Column, value: Any) -> Any:
    """Convert a value that Postgres returned to the type that the class declares.

    Raises:
        ValueError: the class cannot hold the value.
    """
    if value is None and not column.nullable:
        raise ValueError("it is NULL")
    if column.enum is not None or column.adapter is not None:
        return decode_column(column, value)
    holds = _HOLDS.get(column.sql)
    if value is not None and holds is not None and not holds(value):
        raise ValueError(f"it is {value!s:.60}")
    return value


def _flat(items: Any) -> bool:
    # all items of an array with several dimensions are lists
    return None not in items and not (items and isinstance(items[0], list))


_HOLDS: Mapping[str, Callable[[Any], bool]] = {
    "numeric": Decimal.is_finite,
    "double precision": math.isfinite,
    "text[]": _flat,
    "bigint[]": _flat,
    "double precision[]": lambda items: _flat(items) and all(map(math.isfinite, items)),
}
"""Whether a value is one that a save can write; types without an entry have no others."""
