"""Names and literals as SQL reads them."""

from __future__ import annotations

from storekit.model.keywords import KEYWORDS


def qualified(name: str) -> str:
    """Name a table or type with its schema."""
    schema, _, own = name.rpartition(".")
    return f"{quoted(schema or 'public')}.{quoted(own)}"


def quoted(name: str) -> str:
    """Quote a name only where SQL would read it as a keyword."""
    return f'"{name}"' if name in KEYWORDS else name


def literal(text: str) -> str:
    """Write a text as a constant."""
    return "'" + text.replace("'", "''") + "'"
