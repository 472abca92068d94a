"""Errors as a process pool or a task queue passes them on."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from uuid import UUID

import pytest

from storekit import (
    ConfigurationError,
    Conflict,
    ConstraintViolation,
    Corrupt,
    IdempotencyConflict,
    InProgress,
    InvalidTransition,
    NotFound,
    NotLoaded,
    NotSequenced,
    OutcomeUnknown,
    StorekitError,
    TenantRequired,
    TooManyConflicts,
    Unavailable,
    Unreadable,
    UsageError,
    ValidationError,
    WriteLost,
    errors,
)
from storekit.ports.stores import RolledBack

_ERRORS: list[StorekitError] = [
    ConfigurationError("why"),
    TenantRequired("why"),
    Unreadable("notes", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG", "status", "why"),
    Unreadable("notes", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG", None, "why", version=2),
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
    NotSequenced("position 7", 6, None, timeout=10),
    WriteLost(UUID(int=1), "why"),
    Unavailable("s3", "why", step="s3.put"),
    RolledBack("postgres", "why"),
    TooManyConflicts(10),
    OutcomeUnknown(UUID(int=1)),
    Corrupt("key", "2 bytes", "1 byte"),
]


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: StorekitError) -> None:
    """The class, the message and all attributes are the same on the other side."""
    error.at(3)
    for other in (pickle.loads(pickle.dumps(error)), copy(error), deepcopy(error)):
        assert type(other) is type(error)
        assert (str(other), vars(other)) == (str(error), vars(error))


def test_every_error_is_tested_here() -> None:
    """The list above contains an error of each class that storekit exports."""
    assert {type(error).__name__ for error in _ERRORS} >= {*errors.__all__}
