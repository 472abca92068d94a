"""Convert the values of conditions as the class converts them when it is created or updated.

So `find({"tokens": "3"})` finds the record that `update(ref_id, {"tokens": "3"})` wrote. Constraints and
validators do not apply: a condition such as `lt(0)` may lie outside of the values that the field accepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Strict, TypeAdapter
from pydantic import ValidationError as PydanticError

from storekit.model.declare.entity import Entity
from storekit.model.table.table import Column

_KINDS: Mapping[str, Any] = {
    "text": str,
    "bigint": int,
    "double precision": float,
    "numeric": Decimal,
    "boolean": bool,
    "uuid": UUID,
    "timestamptz": datetime,
    "date": date,
    "text[]": list[str],
    "bigint[]": list[int],
    "double precision[]": list[float],
}


def as_declared(entity: type[Entity], column: Column, value: Any, *, item: bool = False) -> Any:
    """Return a value as the type of its column, or unchanged if it cannot be converted.

    The encoder of the column refuses a value that is left unchanged, and converts enums and JSON itself.

    Args:
        item: the value is an item of a list column.
    """
    kind = _KINDS.get(column.sql)
    if kind is None or column.enum is not None or value is None:
        return value
    if type(value) is kind and kind is not str:  # a setting of the class may normalise texts
        return value
    try:
        return _adapter(entity, column.name, kind.__args__[0] if item else kind).validate_python(value)
    except PydanticError:
        return value


@lru_cache(maxsize=1024)
def _adapter(entity: type[Entity], name: str, kind: Any) -> TypeAdapter[Any]:
    """Return a validator of the bare type, with the settings of the class that convert or refuse values."""
    own, info = entity.model_config, entity.model_fields[name]
    strict = any(isinstance(each, Strict) and each.strict for each in info.metadata)
    config = ConfigDict(
        strict=strict or own.get("strict", False),
        str_strip_whitespace=own.get("str_strip_whitespace", False),
        str_to_lower=own.get("str_to_lower", False),
        str_to_upper=own.get("str_to_upper", False),
        coerce_numbers_to_str=own.get("coerce_numbers_to_str", False),
    )
    return TypeAdapter(kind, config=config)
