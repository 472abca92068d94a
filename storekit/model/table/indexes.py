"""What a class declares of its indexes; `model/keys.py` makes SQL of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from storekit.errors import UsageError


class NotNull(Enum):
    """The type of `not_null`."""

    NOT_NULL = "not_null"

    def __repr__(self) -> str:
        return self.value


not_null: Final = NotNull.NOT_NULL
"""In a `where`: the column holds a value."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a class, led by the tenant."""

    columns: tuple[str, ...]
    """In order; one that begins with "-" descends."""
    unique: bool = False
    where: Mapping[str, Any] = field(default_factory=dict)
    """Which records it holds: a value, several, None or `not_null` by column."""

    @property
    def order(self) -> tuple[str, ...]:
        """The columns after the tenant; one for lists ends with ref_id, so that no two records are equal."""
        if self.unique or not {"ref_id", "-ref_id"}.isdisjoint(self.columns):
            return self.columns
        return (*self.columns, "-ref_id" if self.columns[-1].startswith("-") else "ref_id")


def index(*columns: str, where: Mapping[str, Any] | None = None) -> Index:
    """Index the class's records by these columns, within each tenant; it lists them in that order.

    One with a StrEnum among its columns is kept as one index for each state: it lists the records of a state.

    >>> index("status", "-created_on", where={"closed_on": None})
    Index(columns=('status', '-created_on'), unique=False, where={'closed_on': None})

    Args:
        columns: of the class, or its base columns; "-created_on" descends.
        where: only records like this: a value, a list of values, None or `not_null` by column.
    """
    return _index("index", columns, where, unique=False)


def unique(*columns: str, where: Mapping[str, Any] | None = None) -> Index:
    """Let no two records of a tenant have the same values there; arguments as for `index`."""
    return _index("unique", columns, where, unique=True)


def _index(called: str, columns: tuple[str, ...], where: Mapping[str, Any] | None, *, unique: bool) -> Index:
    if not columns or not all(isinstance(column, str) for column in columns):
        raise UsageError(f'{called}{columns!r}: name columns, as in {called}("status", "-created_on")')
    if where is not None and not isinstance(where, Mapping):
        raise UsageError(f'{called}(where={where!r}): map columns to values, as {{"closed_on": None}}')
    return Index(columns, unique, dict(where or {}))
