"""The indexes that a class declares; `model/table/keys.py` writes them as SQL."""

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
"""In the `where` of an index: only records whose column is not NULL.

>>> index("due", where={"due": not_null})
Index(columns=('due',), unique=False, where={'due': not_null})
"""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a class declares; storekit puts the tenant in front of its columns.

    Attributes:
        columns: column names in order; a name that begins with "-" is descending.
        unique: whether no two records of a tenant may have the same values.
        where: the records that a partial index contains: maps a column to a value, several values, None or
            `not_null`.
    """

    columns: tuple[str, ...]
    unique: bool = False
    where: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[str, ...]:
        """Columns after the tenant; a non-unique index gets `ref_id`, which makes its order total."""
        if self.unique or not {"ref_id", "-ref_id"}.isdisjoint(self.columns):
            return self.columns
        return (*self.columns, "-ref_id" if self.columns[-1].startswith("-") else "ref_id")


def index(*columns: str, where: Mapping[str, Any] | None = None) -> Index:
    """Declare an index, so that `find` can list a tenant's records in this order without sorting.

    storekit puts the tenant before the columns and appends `ref_id`. An index with a StrEnum column is
    created as one partial index for each value, so it serves only a `find` that filters by one value.

    >>> from datetime import date
    >>> class Task(Entity, table="tasks", indexes=[index("-due", where={"done": False})]):
    ...     due: date | None = None
    ...     done: bool = False

    Args:
        columns: fields of the class or base columns such as "created_on"; "-created_on" is descending.
        where: index only records with these values: maps a column to a value, a list of values, None or
            `not_null`.

    Raises:
        UsageError: no column is given, or `where` is not a mapping.
    """
    return _index("index", columns, where, unique=False)


def unique(*columns: str, where: Mapping[str, Any] | None = None) -> Index:
    """Declare that no two records of a tenant may have the same values in these columns.

    A save that violates it raises ConstraintViolation. As in SQL, NULL does not equal NULL.

    >>> class Page(Entity, table="pages", indexes=[unique("slug", where={"archived": False})]):
    ...     slug: str
    ...     archived: bool = False

    Args:
        columns: fields of the class or base columns.
        where: compare only records with these values, as for `index`.

    Raises:
        UsageError: no column is given, or `where` is not a mapping.
    """
    return _index("unique", columns, where, unique=True)


def _index(called: str, columns: tuple[str, ...], where: Mapping[str, Any] | None, *, unique: bool) -> Index:
    if not columns or not all(isinstance(column, str) for column in columns):
        raise UsageError(f'{called}{columns!r} must name columns, as in {called}("status", "-created_on")')
    if where is not None and not isinstance(where, Mapping):
        raise UsageError(f'{called}(where={where!r}) must map columns to values, as in {{"closed_on": None}}')
    return Index(columns, unique, dict(where or {}))
