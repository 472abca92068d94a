"""What the server's refusals are called here."""

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

_BEHIND = {
    "call storekit.manage() in the migration that creates the table",
    "declare the part in the class, and migrate",
    "add the column in a migration",
}
"""The hints of what the schema lacks."""


def raise_for(result: PGresult) -> NoReturn:
    """Raise the error that a failed result stands for. Nothing of its transaction was committed."""
    state = _field(result, DiagnosticField.SQLSTATE)
    raise error_for(
        state,
        _field(result, DiagnosticField.MESSAGE_PRIMARY) or "the connection failed",
        _field(result, DiagnosticField.MESSAGE_DETAIL),
        _field(result, DiagnosticField.CONSTRAINT_NAME) or None,
        behind=_field(result, DiagnosticField.MESSAGE_HINT) in _BEHIND,
    )


def error_for(
    state: str, message: str, detail: str = "", constraint: str | None = None, *, behind: bool = False
) -> StorekitError:
    """Name a refusal by its SQLSTATE; `behind` says that the schema lacks what the class declares."""
    if behind or (state == "22P02" and "for enum" in message):
        return ConfigurationError(_about_the_schema(message))
    match state:
        case "SK409" | "SK404" | "SK410":
            return _about_a_row(state, json.loads(detail))
        case "SK400" | "SK403" | "SK405" | "SK004":
            return UsageError(message)
        case "42501":
            return ConfigurationError(
                f"postgres refused for want of a grant: {message}; POSTGRES_URL must be a login in role "
                "storekit_app"
            )
        case "23503" | "23001":  # the latter from 18 on, where a reference restricts
            return ConstraintViolation(_about_a_reference(message, constraint), constraint)
        case "26000" | "42P05":
            return ConfigurationError(
                f"a pooler gave this transaction the session of another ({message}); switch prepared "
                "statements off: POSTGRES_PREPARE=false, or Settings(prepare=False)"
            )
        case "42P01" | "42703" | "42883" | "3F000":
            return ConfigurationError(_about_the_schema(message))
        case "22023" if message.startswith("role "):
            return ConfigurationError(f"postgres has no storekit yet ({message}); migrate it")
        case "40001" | "40P01":
            return RolledBack("postgres", f"{message} ({state})")
    match state[:2]:
        case "23":
            return ConstraintViolation(f"postgres refused the rows: {message}", constraint)
        case "22":
            return ValidationError(f"postgres cannot hold a value: {message}")
        case "54":
            return ValidationError(f"a value or a request is larger than postgres takes: {message}")
        case "40" | "55":
            return Unavailable("postgres", f"{message} ({state})")
        case "" | "08" | "53" | "57" | "58":
            return Unavailable("postgres", message)
    return StorekitError(f"postgres: {message} ({state})")


def _about_the_schema(message: str) -> str:
    return (
        f"the database is not what the class declares ({message}); run storekit schema diff and storekit "
        "migrate, or name the class to Store.embedded(entities=[...])"
    )


def _about_a_reference(message: str, constraint: str | None) -> str:
    # the code is one for both sides of a reference
    if message.startswith("update or delete"):
        return f"{constraint}: other records still refer to this one ({message})"
    return f"{constraint}: there is no such record in this tenant ({message})"


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
