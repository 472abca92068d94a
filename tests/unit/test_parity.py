"""Both colours have the same names and signatures, and the memory driver those of the real ones."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from storekit.api.reader import Reader
from storekit.api.reader_async import AsyncReader

from storekit import (
    AsyncCursor,
    AsyncRepository,
    AsyncScope,
    AsyncStore,
    AsyncTransaction,
    Cursor,
    Repository,
    Scope,
    Store,
    Transaction,
)
from storekit.ports.stores import Blobs, Documents, Ledger, Session
from storekit.testing.stores import MemoryBlobs, MemoryDocuments, MemoryLedger
from storekit.testing.stores.ledger import MemorySession

COLOURS = [
    (Store, AsyncStore),
    (Scope, AsyncScope),
    (Repository, AsyncRepository),
    (Reader, AsyncReader),
    (Transaction, AsyncTransaction),
    (Cursor, AsyncCursor),
]
NO_IO = {"admin", "connection", "cursor", "embedded", "open", "repository", "scope", "settings"} | {
    "transaction"
}


def _public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def _parameters(member: Any) -> list[tuple[str, Any, Any]]:
    function = getattr(member, "__wrapped__", getattr(member, "__func__", member))
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(("one", "other"), COLOURS)
def test_both_colours_have_the_same_names(one: type, other: type) -> None:
    """What one colour offers, the other offers under the same name."""
    assert _public(one) ^ _public(other) == set()


@pytest.mark.parametrize(("one", "other"), COLOURS)
def test_both_colours_have_the_same_signatures(one: type, other: type) -> None:
    """Parameters have the same names, kinds and defaults in both colours."""
    for name in _public(one):
        mine, theirs = vars(one)[name], vars(other)[name]
        if callable(mine) or isinstance(mine, classmethod):
            assert _parameters(mine) == _parameters(theirs), name


@pytest.mark.parametrize(("one", "other"), COLOURS)
def test_only_what_does_no_io_is_not_awaited(one: type, other: type) -> None:
    """A method of the asynchronous colour is a coroutine function, unless it does no I/O of its own."""
    plain = {name for name in _public(other) if not inspect.iscoroutinefunction(vars(other)[name])}
    assert plain <= NO_IO


@pytest.mark.parametrize(
    ("port", "double"),
    [
        (Ledger, MemoryLedger),
        (Session, MemorySession),
        (Documents, MemoryDocuments),
        (Blobs, MemoryBlobs),
    ],
)
def test_the_doubles_have_the_ports_signatures(port: type, double: type) -> None:
    """The drivers in memory take what the ports take."""
    for name in _public(port) - {"connection"}:
        assert _parameters(vars(port)[name]) == _parameters(vars(double)[name]), name
