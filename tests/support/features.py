"""Name the row of docs/reference/pydantic.md that a test proves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

from storekit import Entity, Repository, Scope
from storekit.testing import memory_store

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=Entity)


def row(name: str) -> Callable[[F], F]:
    """Say which row of the table a test proves; test_pydantic_table.py compares the names with the page."""

    def same(test: F) -> F:
        return test

    return same


def scope_of(*entities: type[Entity]) -> Scope:
    """Return a scope of new in-memory stores."""
    return memory_store(*entities).scope(tenant=uuid4(), actor="user:tester")


def repository(entity: type[E]) -> Repository[E]:
    """Return a repository of the class in new in-memory stores."""
    return scope_of(entity).repository(entity)
