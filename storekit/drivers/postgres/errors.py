"""Convert errors of the server to errors of storekit.

An error is recognised by its SQLSTATE and, if that has several meanings, by other fields that are not
translated. The message is never used for it, because its language depends on `lc_messages` of the server.
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

_SETTING = "call_string_check_hook"
"""The function of the server that checks the value of a setting. Of our settings only the role can be
invalid."""
_ENUM = {"enum_in", "enum_recv"}
"""The functions of the server that parse an enum label. Other functions report 22P02 too."""


def raise_for(result: PGresult) -> NoReturn:
    """Raise the error for a failed result, whose transaction was not committed."""
    state = _field(result, DiagnosticField.SQLSTATE)
    raise error_for(
        state,
        _field(result, DiagnosticField.MESSAGE_PRIMARY) or "the connection failed",
        _field(result, DiagnosticField.MESSAGE_DETAIL),
        _field(result, DiagnosticField.CONSTRAINT_NAME) or None,
        source=_field(result, DiagnosticField.SOURCE_FUNCTION),
    )


def error_for(
    state: str, message: str, detail: str = "", constraint: str | None = None, *, source: str = ""
) -> StorekitError:
    """Return the error for an SQLSTATE; `source` is the function of the server that reported it."""
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
                f"postgres denied a permission: {message}; POSTGRES_URL must be a login that is a member of "
                "storekit_app"
            )
        case "23503":
            told = f"{constraint}: there is no such record in this tenant ({message})"
            return ConstraintViolation(told, constraint)
        case "23001":  # storekit.delete_rows raises it, on every version of Postgres
            told = f"{constraint}: other records still refer to this one ({message})"
            return ConstraintViolation(told, constraint)
        case "26000" | "42P05":
            return ConfigurationError(
                f"a pooler moved this transaction to another session ({message}); switch prepared "
                "statements off: POSTGRES_PREPARE=false, or Settings(prepare=False)"
            )
        case "22023" if source == _SETTING:
            return ConfigurationError(f"the database has not been migrated ({message}); run storekit migrate")
        case "40001" | "40P01":
            return RolledBack("postgres", f"{message} ({state})")
    match state[:2]:
        case "23":
            return ConstraintViolation(f"postgres rejected the rows: {message}", constraint)
        case "22":
            return ValidationError(f"postgres cannot store a value: {message}")
        case "54":
            return ValidationError(f"a value or a request exceeds a limit of postgres: {message}")
        case "40" | "55":
            return Unavailable("postgres", f"{message} ({state})")
        case "" | "08" | "53" | "57" | "58":
            return Unavailable("postgres", message)
    return StorekitError(f"postgres: {message} ({state})")


def _about_the_schema(message: str) -> str:
    return (
        f"the database does not match the class ({message}); run storekit schema diff and storekit "
        "migrate, or pass the class to Store.embedded(entities=[...])"
    )


def _about_a_row(state: str, told: dict[str, Any]) -> StorekitError:
    row = told["entity"], told["ref_id"]
    if state == "SK404":
        return NotFound(*row)
    if state == "SK410":
        return InvalidTransition(*row, told["from"] or None, told["to"], tuple(told["allowed"]))
    return Conflict(*row, told["expected"], told["found"])


def _field(result: PGresult, field: DiagnosticField) -> str:
    value = result.error_field(field)
    return value.decode(errors="replace") if value else ""
