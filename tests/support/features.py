"""Name the row of docs/reference/pydantic.md that a test proves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import create_model

from storekit import Entity, Mutable, Repository, Scope
from storekit.testing import memory_store

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=Entity)


def row(name: str) -> Callable[[F], F]:
    """Say which row of the table a test proves; test_pydantic_table.py compares the names with the page."""

    def same(test: F) -> F:
        return test

    return same


def declare(kind: Any, default: Any = ...) -> type[Entity]:
    """Declare the class D with one field x of a type."""
    bases: Any = (Entity, Mutable)
    made: type[Entity] = create_model("D", __base__=bases, __cls_kwargs__={"table": "ds"}, x=(kind, default))
    return made


def scope_of(*entities: type[Entity]) -> Scope:
    """Return a scope of new in-memory stores."""
    return memory_store(*entities).scope(tenant=uuid4(), actor="user:tester")


def repository(entity: type[E]) -> Repository[E]:
    """Return a repository of the class in new in-memory stores."""
    return scope_of(entity).repository(entity)
