"""Names and literals as SQL reads them."""

from __future__ import annotations

import re

from storekit.model.keywords import KEYWORDS

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def qualified(name: str) -> str:
    """Name a table or type with its schema."""
    schema, _, own = name.rpartition(".")
    return f"{quoted(schema or 'public')}.{quoted(own)}"


def quoted(name: str) -> str:
    """Quote a name only where SQL would read it otherwise."""
    if _PLAIN.fullmatch(name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a text as a constant."""
    return "'" + text.replace("'", "''") + "'"
