"""Check the names of tables, fields and collections before anything is declared with them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from storekit.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_MAX_NAME = 50
"""Characters. Postgres allows 63 bytes, and storekit appends up to 13 characters for names derived from the
name of a field: columns (`_expired_on`), constraints (`_ref_live`), indexes (`_ix_` and 8 digits of a
hash). A table that is written by hand may have 57 characters with its schema: only the name of its generated
function, which starts with `write_`, contains that name."""
_TAKEN: Mapping[str, str] = {
    **dict.fromkeys(("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"), "a system column of Postgres"),
    "expected_version": "an argument of every write",
}


def check_field(where: str, name: str) -> None:
    """Raise UsageError if a field cannot have this name."""
    check_name(where, name)
    if name in _TAKEN:
        raise UsageError(f"{where}: this is the name of {_TAKEN[name]}; choose another name")


def check_table(owner: str, name: str) -> None:
    """Raise UsageError if a table cannot have this name."""
    if not isinstance(name, str):
        raise UsageError(f'{owner}: table={name!r} must be a name, as in table="notes"')
    for piece in name.split("."):
        check_name(f"{owner}: table", piece)
    if name.count(".") > 1 or len(name) > _MAX_NAME:
        raise UsageError(
            f"{owner}: table {name!r} has {len(name)} characters; write name or schema.name, "
            f"at most {_MAX_NAME} characters"
        )


def check_name(where: str, name: str) -> None:
    """Raise UsageError if a name is not lower case, has other characters or is too long."""
    if not _NAME.match(name) or len(name) > _MAX_NAME:
        raise UsageError(
            f"{where}: {name!r} must match [a-z][a-z0-9_]* and have at most {_MAX_NAME} characters"
        )
