"""The sync API is generated from the async one, and the memory drivers have the signatures of the ports."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storekit import AsyncBlobStream, AsyncCursor, AsyncRepository, AsyncScope, AsyncStore, AsyncTransaction
from storekit.ports.stores import Blobs, Documents, Ledger, Session
from storekit.testing.stores import MemoryBlobs, MemoryDocuments, MemoryLedger
from storekit.testing.stores.ledger import MemorySession

GENERATOR = Path(__file__).parents[2] / "tools" / "generate_sync.py"
PLANS = {
    "advance",
    "delete",
    "insert_ignore",
    "replayed",
    "restore",
    "save",
    "save_many",
    "transition",
    "update",
    "upsert",
}
"""Methods of a unit of work that only plan."""
NO_IO: dict[type, set[str]] = {
    AsyncStore: {"admin", "embedded", "open", "relay", "scope", "settings"},
    AsyncScope: {"cursor", "repository", "transaction"},
    AsyncRepository: {"open"},
    AsyncTransaction: {"connection", *PLANS},
    AsyncCursor: {"position"},
    AsyncBlobStream: set(),
}
"""Methods that are not coroutines: they perform no I/O, or return an awaitable or a context manager."""


def test_the_sync_api_is_generated_from_the_async_api() -> None:
    """Every generated file is up to date, and every rule of the generator is used."""
    checked = subprocess.run(
        [sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(("kind", "plain"), NO_IO.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_only_methods_without_io_are_not_coroutines(kind: type, plain: set[str]) -> None:
    """A method of the async API is a coroutine function unless it performs no I/O."""
    public = {name for name in vars(kind) if not name.startswith("_")}
    assert {name for name in public if not inspect.iscoroutinefunction(vars(kind)[name])} == plain


def _parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(
    ("port", "double"),
    [
        (Ledger, MemoryLedger),
        (Session, MemorySession),
        (Documents, MemoryDocuments),
        (Blobs, MemoryBlobs),
    ],
)
def test_memory_drivers_have_the_signatures_of_the_ports(port: type, double: type) -> None:
    """The methods of the memory drivers take the same arguments as those of the ports."""
    for name in {name for name in vars(port) if not name.startswith("_")} - {"connection"}:
        assert _parameters(vars(port)[name]) == _parameters(vars(double)[name]), name
