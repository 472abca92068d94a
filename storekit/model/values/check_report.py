"""What `store.check()` returns: for each store its version and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a store.

    >>> str(Problem("S3_BUCKET is not set", "set it to the name of the bucket"))
    'S3_BUCKET is not set; set it to the name of the bucket'

    Attributes:
        what: what is wrong.
        remedy: what to do.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """The state of one store.

    >>> str(StoreCheck("postgres", "18.6", ()))
    'postgres 18.6: ok'

    Attributes:
        store: which store.
        version: version of the server; None if it is not known, because the server was not reached.
        problems: what is wrong; empty if nothing is.
    """

    store: Literal["postgres", "mongo", "s3"]
    version: str | None
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Return whether nothing is wrong with this store."""
        return not self.problems

    def __str__(self) -> str:
        name = f"{self.store} {self.version}" if self.version else self.store
        return "\n".join(f"{name}: {problem}" for problem in self.problems) or f"{name}: ok"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The state of all stores that have settings. `print(report)` shows a line for each store or problem.

    >>> CheckReport((StoreCheck("postgres", "18.6", ()),)).ok
    True

    Attributes:
        stores: the stores, in the order Postgres, MongoDB, S3.
    """

    stores: tuple[StoreCheck, ...]

    @property
    def ok(self) -> bool:
        """Return whether nothing is wrong with any store."""
        return all(each.ok for each in self.stores)

    def __str__(self) -> str:
        return "\n".join(map(str, self.stores))
