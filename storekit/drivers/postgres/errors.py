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
_ENUM = {"enum_in", "enum_recv"}
"""The server's functions that parse an enum label; other functions report 22P02 for other types."""


def raise_for(result: PGresult) -> NoReturn:
    """Raise the error for a failed result. Nothing of its transaction was committed."""
    raise error_for(
        state_of(result),
        _field(result, DiagnosticField.MESSAGE_PRIMARY) or "the connection failed",
        _field(result, DiagnosticField.MESSAGE_DETAIL),
        _field(result, DiagnosticField.CONSTRAINT_NAME) or None,
        source=_field(result, DiagnosticField.SOURCE_FUNCTION),
        column=_field(result, DiagnosticField.COLUMN_NAME),
    )


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
        case "SK409" | "SK404" | "SK410":
            return _about_a_row(state, json.loads(detail))
        case "SK400" | "SK403" | "SK405" | "SK004":
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
        case "0A000" if source == _REPLAN:
            return RolledBack("postgres", f"the transaction was rolled back ({state})", detail=said)
        case "40001" | "40P01":
            cause = "a deadlock" if state == "40P01" else "a concurrent change"
            return RolledBack(
                "postgres", f"it rolled the transaction back after {cause} ({state})", detail=said
            )
        case "55P03":  # the lock_timeout of the write functions
            return Unavailable("postgres", "a row stayed locked for longer than 5 s (55P03)", detail=said)
    match state[:2]:
        case "23":
            what = f"a constraint rejected the rows ({constraint or column or state})"
            return ConstraintViolation(what, constraint, detail=said)
        case (
            "22"
        ):  # 22012 too: the check before a COMMIT divides by zero to stop it, and session.py expects this
            return ValidationError(f"postgres cannot store a value ({state})", detail=said)
        case "54":
            return ValidationError(f"a value or a request exceeds a limit of postgres ({state})", detail=said)
        case "40" | "55":
            return Unavailable("postgres", f"the transaction was rolled back ({state})", detail=said)
        case "" | "08" | "53" | "57" | "58":
            return Unavailable(
                "postgres", f"it ended the call ({state or 'the connection failed'})", detail=said
            )
    return StorekitError(f"postgres refused the call ({state})", detail=said)


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
