"""Convert error responses of the server to storekit's errors.

An error is recognised by its SQLSTATE and, where one SQLSTATE has several meanings, by other fields that are
not translated. The message is never used, because its language depends on the server's `lc_messages`.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from psycopg.pq import DiagnosticField
from psycopg.pq.abc import PGresult

from storekit.errors import (
    ConfigurationError,
    Conflict,
    ConstraintViolation,
    InvalidTransition,
    NotFound,
    StorekitError,
    Unavailable,
    UsageError,
    ValidationError,
)
from storekit.ports.stores import RolledBack

LOST = "26000"
"""The session does not have a prepared statement."""
STALE = {LOST, "0A000", "42804", "42883", "XX000"}
"""SQLSTATEs of a statement that was prepared before a table or type changed.

Its result type differs, it compares a new type with an old one, or a type that it needs does not exist any
more. All of them have other causes too.
"""
_REPLAN = "RevalidateCachedQuery"
"""The server's function that reports 0A000 for a stale statement; other functions have other reasons."""
_SETTING = "call_string_check_hook"
"""The server's function that checks a new setting. Of storekit's settings it can refuse only the role."""
OTHER_DEFAULTS = {"40001", "25006"}
"""SQLSTATEs of a transaction that has other modes than storekit asks for.

40001: it is not READ COMMITTED, and met a concurrent change. 25006: it is read-only. Both come from defaults
of the login, the database or the environment.
"""
_HOT_STANDBY = "call_bool_check_hook"
"""The server's function that refuses READ WRITE (0A000) while the server is a standby."""
_LONGEST = 500
"""Characters of a message of the server in an error."""
_PLACE = "_place"
_ENUM = {"enum_in", "enum_recv"}
"""The server's functions that parse an enum label; other functions report 22P02 for other types."""


def raise_for(result: PGresult, place: int) -> NoReturn:
    """Raise the error for a failed result. Nothing of its transaction was committed.

    Args:
        place: the place of the refused statement in its exchange, which `place_of` returns.
    """
    error = error_for(
        state_of(result),
        shortened(_field(result, DiagnosticField.MESSAGE_PRIMARY)) or "the connection failed",
        _field(result, DiagnosticField.MESSAGE_DETAIL),
        _field(result, DiagnosticField.CONSTRAINT_NAME) or None,
        source=_field(result, DiagnosticField.SOURCE_FUNCTION),
        column=_field(result, DiagnosticField.COLUMN_NAME),
    )
    vars(error)[_PLACE] = place
    raise error


def place_of(error: StorekitError) -> int | None:
    """Return the place in its exchange of the statement that the server refused with this error."""
    found: int | None = vars(error).get(_PLACE)
    return found


def shortened(message: str) -> str:
    """Cut a message of the server, which may quote a whole value."""
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."


def state_of(result: PGresult) -> str:
    """Return the SQLSTATE of a failed result; empty if the connection failed."""
    return _field(result, DiagnosticField.SQLSTATE)


def error_for(
    state: str,
    message: str,
    detail: str = "",
    constraint: str | None = None,
    *,
    source: str = "",
    column: str = "",
) -> StorekitError:
    """Return the error for an error response; `source` is the server's function that reported it.

    Its message can reach clients, so it names columns and constraints only. What the server said is in
    `.detail`: it can quote SQL, values and the language of the server.
    """
    said = f"postgres: {message} ({state})"
    match state:
        case "SK424" | "42P01" | "42703" | "42883" | "3F000":
            return ConfigurationError(_about_the_schema(message))
        case "22P02" if source in _ENUM:
            return ConfigurationError(_about_the_schema(message))
        case "SK412":
            return ConfigurationError(f"{message}; reset this setting of the login or database")
        case "SK409" | "SK404" | "SK410":
            return _about_a_row(state, json.loads(detail))
        case "SK400" | "SK403" | "SK405" | "SK411" | "SK004":
            return UsageError(message)
        case "42501":
            return ConfigurationError(
                f"permission denied by postgres: {message}; POSTGRES_URL must be a login in role storekit_app"
            )
        case "23503":
            what = f"a referenced record does not exist in this tenant ({constraint})"
            return ConstraintViolation(what, constraint, detail=said)
        case "23001":  # raised by storekit.delete_rows, on every version of Postgres
            return ConstraintViolation.of_referred(constraint, detail=said)
        case "26000" | "42P05":
            return ConfigurationError(
                f"the pooler changed the session between transactions ({message}); disable prepared "
                "statements: POSTGRES_PREPARE=false, or Settings(prepare=False)"
            )
        case "22023" if source == _SETTING:
            return ConfigurationError(
                f"storekit is not set up in this database ({message}); run storekit migrate"
            )
        case "25006":
            return _read_only(said)
        case "0A000" if source == _HOT_STANDBY:
            return _read_only(said)
        case "0A000" if source == _REPLAN:
            return RolledBack("postgres", f"the transaction was rolled back ({state})", detail=said)
        case "40001" | "40P01":
            cause = "a deadlock" if state == "40P01" else "a concurrent change"
            return RolledBack(
                "postgres", f"it rolled the transaction back after {cause} ({state})", detail=said
            )
        # A row or an object was locked: 55P03 for longer than the lock_timeout of the write functions (5 s).
        # Nothing was committed, and the caller may repeat the call. The others of class 55 fail again: 55000,
        # a wrong state; 55P02, a fixed setting; 55P04, a member of an enum that is not committed yet.
        case "55006" | "55P03":
            return Unavailable("postgres", f"a row stayed locked for longer than 5 s ({state})", detail=said)
        case "55P02" | "57P04" | "58P01" | "58P02":  # a fixed setting, a dropped database, a missing library
            return ConfigurationError(f"postgres is not set up for this call ({state})", detail=said)
        case "53400":
            return ValidationError(f"a value or a request exceeds a limit of postgres ({state})", detail=said)
        case "40002":  # a constraint that is checked at the end of the transaction
            return _rejected(constraint or column or state, constraint, said)
    match state[:2]:
        case "23":
            return _rejected(constraint or column or state, constraint, said)
        case "22":
            return ValidationError(f"postgres cannot store a value ({state})", detail=said)
        case "54":
            return ValidationError(f"a value or a request exceeds a limit of postgres ({state})", detail=said)
        case "40":
            return Unavailable("postgres", f"the transaction was rolled back ({state})", detail=said)
        case "" | "08" | "53" | "57" | "58":
            return Unavailable(
                "postgres", f"it ended the call ({state or 'the connection failed'})", detail=said
            )
    return StorekitError(f"postgres refused the call ({state})", detail=said)


def _rejected(what: str, constraint: str | None, said: str) -> ConstraintViolation:
    return ConstraintViolation(f"a constraint rejected the rows ({what})", constraint, detail=said)


def _read_only(said: str) -> Unavailable:
    return Unavailable(
        "postgres", "the server is read-only, as a standby is; connect to the primary server", detail=said
    )


def _about_the_schema(message: str) -> str:
    return (
        f"the database does not match the class ({message}); run storekit schema diff and storekit "
        "migrate, or pass the class to Store.embedded(entities=[...])"
    )


def _about_a_row(state: str, detail: dict[str, Any]) -> StorekitError:
    row = detail["entity"], detail["ref_id"]
    if state == "SK404":
        return NotFound(*row)
    if state == "SK410":
        return InvalidTransition(*row, detail["from"] or None, detail["to"], tuple(detail["allowed"]))
    return Conflict(*row, detail["expected"], detail["found"])


def _field(result: PGresult, field: DiagnosticField) -> str:
    value = result.error_field(field)
    return value.decode(errors="replace") if value else ""
