"""Errors as a process pool or a task queue passes them on."""

from __future__ import annotations

import pickle
from copy import deepcopy
from uuid import UUID

import pytest

from storekit import (
    Conflict,
    ConstraintViolation,
    Corrupt,
    IdempotencyConflict,
    InProgress,
    InvalidTransition,
    NotFound,
    NotLoaded,
    OutcomeUnknown,
    StorekitError,
    Unavailable,
    UsageError,
    ValidationError,
    WriteLost,
)
from storekit.ports.stores import RolledBack

_ERRORS: list[StorekitError] = [
    StorekitError("why", step="s3.put"),
    UsageError("why"),
    NotLoaded("Call.payload", "load it"),
    ValidationError("why", field="Call.name"),
    NotFound("calls", "01", "transcript"),
    Conflict("calls", "01", 1, 2),
    InvalidTransition("orders", "01", "new", "done", ("paid",)),
    ConstraintViolation("why", "calls_natural_key"),
    IdempotencyConflict("key"),
    InProgress("key", 1.5),
    WriteLost(UUID(int=1), "why"),
    Unavailable("s3", "why", step="s3.put"),
    RolledBack("postgres", "why"),
    OutcomeUnknown(UUID(int=1)),
    Corrupt("key", "2 bytes", "1 byte"),
]


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: StorekitError) -> None:
    """The class, the message and all attributes are the same on the other side."""
    error.at(3)
    for other in (pickle.loads(pickle.dumps(error)), deepcopy(error)):
        assert type(other) is type(error)
        assert (str(other), vars(other)) == (str(error), vars(error))
