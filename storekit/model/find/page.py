"""One page of the result of `find`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of records, in the order of the query: supports iteration, `len` and indexing.

    >>> page = Page(items=("a", "b"), next=None)
    >>> list(page), len(page), page[0]
    (['a', 'b'], 2, 'a')

    Attributes:
        items: the records.
        next: cursor to pass to `find` as `after` for the next page; None on the last page.
    """

    items: tuple[T, ...]
    next: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> T:
        return self.items[position]
