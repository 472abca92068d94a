"""Errors as a process pool or a task queue passes them on."""

from __future__ import annotations

import pickle
import re
from copy import copy, deepcopy
from pathlib import Path
from traceback import format_exception
from typing import Any
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
from storekit.drivers.postgres.errors import error_for
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


PAGE = Path(__file__).parents[2] / "docs" / "howto" / "errors.md"
COMMON = {"step", "index", "detail", "__notes__"}


def rows() -> dict[str, list[str]]:
    """Read the table of errors: name, when, attributes, retry and HTTP status."""
    lines = re.findall(r"^\| `(\w+)` \| (.+) \| (\d{3}) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: [*map(str.strip, cells.rsplit("|", 2)), status] for name, cells, status in lines}


def test_the_page_of_errors_lists_every_class_with_its_attributes() -> None:
    """Each error class is on the page, with its attributes, and whether to retry."""
    table = rows()
    assert table.keys() == {*errors.__all__} - {"StorekitError"}
    for error in _ERRORS:
        if type(error).__name__ in table:
            _, attributes, retry, status = table[type(error).__name__]
            assert {*re.findall(r"`(\w+)`", attributes)} == vars(error).keys() - COMMON, type(error)
            assert retry.startswith("yes") == error.retryable
            assert status != "503" or error.retryable


def test_the_page_of_errors_has_the_status_of_its_program() -> None:
    """The statuses in the table are those that the function on the page returns."""
    block = re.findall(
        r"^```python\n# http_errors.py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    program: dict[str, Any] = {}
    exec(block[0], program)
    for error in _ERRORS:
        if row := rows().get(type(error).__name__):
            assert program["answer"](error)[0] == int(row[-1]), type(error)


def test_a_field_is_named_in_one_form() -> None:
    """`field` never contains the class, which `entity` names; an argument has no class."""
    of_record, of_argument = (
        ValidationError("why", field="Call.tags[2]"),
        ValidationError("why", field="limit"),
    )
    assert (of_record.entity, of_record.field, str(of_record)) == ("Call", "tags[2]", "Call.tags[2]: why")
    assert (of_argument.entity, of_argument.field, str(of_argument)) == (None, "limit", "limit: why")
    whole = ValidationError("why", entity="Call")
    assert (whole.entity, whole.field, str(whole)) == ("Call", None, "Call: why")
    unread = NotLoaded("Call.payload", "load it")
    assert (unread.entity, unread.field) == ("Call", "payload")


def test_a_traceback_shows_the_detail_and_the_message_does_not() -> None:
    """Operators find the address of a server in a traceback; a client gets the message without it."""
    error = Unavailable("s3", "no connection", detail="db:5432")
    assert "db:5432" not in str(error)
    assert "".join(format_exception(error)).endswith("call again\ndb:5432\n")
    assert pickle.loads(pickle.dumps(error)).detail == "db:5432"


def test_no_message_for_clients_repeats_what_the_server_said() -> None:
    """The words of the server can quote SQL and values, so they are in `detail` only."""
    said = 'relation "x" at 10.0.0.1:5432: SELECT secret FROM x'
    states = {"08006", "22003", "22P02", "23001", "23502", "23503", "23505", "23514", "40001", "40P01"}
    for state in states | {"53300", "54000", "55P03", "57014", "57P01", "58030", "XX000", ""}:
        error = error_for(state, said)
        assert said not in str(error), state
        assert said in str(error.detail), state
