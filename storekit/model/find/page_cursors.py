"""Page cursors: the position at which a page ended, valid for that query only.

A cursor contains the values of the last row and a digest over query and values. The digest detects cursors of
other queries and of other releases. It is not a signature and needs no secret: a forged cursor only selects
another start among records that its sender is allowed to list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import MAX_PREC, Context, Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

from storekit.errors import ValidationError
from storekit.model.find.packed import LARGEST, packed, unpacked
from storekit.model.table.table import Column, Table
from storekit.model.values.codec import encode_operand, parse
from storekit.model.values.limits import check_length, check_text
from storekit.ports.statements import Condition, Sort

_FORMAT = 1
"""Part of the digest: increment it when the format changes, so that old cursors are rejected."""
_MAX_LENGTH = 16 * 1024
"""Maximum number of characters: a cursor is sent in URLs and headers."""
_NUMBER = re.compile(r"NaN|-?inf(inity)?", re.IGNORECASE).fullmatch
_TIME = re.compile(r"-?infinity|[0-9]{4,6}-[0-9]{2}-[0-9]{2}( [0-9:.]+\+[0-9:]+)?( BC)?").fullmatch
_BEYOND = {"numeric": _NUMBER, "double precision": _NUMBER, "timestamptz": _TIME, "date": _TIME}
"""Values of Postgres that no class can hold, as text, by SQL type."""
_EXACT = Context(prec=MAX_PREC)
_LONGEST_MEMBER = 63
"""Maximum bytes of a member of an enum in Postgres."""


class PageCursors:
    """Writes and reads the page cursors of one query of one tenant."""

    def __init__(
        self, table: Table, tenant: UUID, conditions: Sequence[Condition], order: Sequence[Sort]
    ) -> None:
        self._table, self._order = table, order
        tests = [[each.column, each.operator, each.values] for each in conditions]
        columns = [[each.column, each.descending] for each in order]
        self._query = [_FORMAT, table.name, str(tenant), tests, columns]

    def seal(self, row: Mapping[str, Any]) -> str:
        """Return the cursor of a page that ends with this row.

        Raises:
            ValidationError: the values of the order are too long for a cursor.
        """
        text = self._text([self._encoded(each, row[each.column]) for each in self._order])
        # raise with this page, not when the client asks for the next one
        if (size := len(text.encode())) > LARGEST:
            raise self._too_long(size, LARGEST, "bytes")
        if (size := len(sealed := packed(text))) > _MAX_LENGTH:
            raise self._too_long(size, _MAX_LENGTH, "characters")
        return sealed

    def _too_long(self, size: int, limit: int, unit: str) -> ValidationError:
        names = ", ".join(each.column for each in self._order)
        why = f"the values of {names} make a cursor of {size} {unit}; the limit is {limit}"
        return ValidationError(why, field="order_by")

    def open(self, after: str) -> tuple[Any, ...]:
        """Return the encoded values of the row at which the page ended.

        Raises:
            ValidationError: `after` is not a cursor of this query.
        """
        if isinstance(after, str) and len(after) <= _MAX_LENGTH:
            try:
                text = unpacked(after)
                values = self._checked(text)
            # the text comes from a client and may be anything; whatever fails, it is not a cursor of this
            # query
            except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, ValidationError):
                values = None
            if values is not None and self._text(values) == text:
                return tuple(values)
        raise self.refusal()

    def refusal(self) -> ValidationError:
        """Return the error of a text that is not a cursor of this query."""
        return ValidationError(
            "it is not a cursor of this query; pass a page's .next with the same tenant, filters and order",
            field="after",
        )

    def has_unknown_members(self, values: Sequence[Any]) -> bool:
        """Return whether the values of a cursor have a member of an enum that the class does not know."""
        pairs = zip(self._order, values, strict=True)
        return any(_is_unknown(self._column(sort), value) for sort, value in pairs)

    def _text(self, values: list[Any]) -> str:
        # `open` writes the decoded values again and compares: only the text written here is accepted
        about = json.dumps([*self._query, values], separators=(",", ":")).encode()
        digest = blake2b(about, digest_size=16).hexdigest()
        return json.dumps([digest, *values], separators=(",", ":"), ensure_ascii=False)

    def _checked(self, text: str) -> list[Any] | None:
        found = json.loads(text)
        if not isinstance(found, list) or len(found) != len(self._order) + 1:
            return None
        return [self._encoded(each, value) for each, value in zip(self._order, found[1:], strict=True)]

    def _encoded(self, sort: Sort, value: Any) -> Any:
        """Encode a value of a row; a value that is already encoded stays the same."""
        column = self._column(sort)
        if _is_unknown(column, value):
            return check_length(check_text(value, "after"), _LONGEST_MEMBER, "after")
        try:
            parsed = parse(column.sql, value) if isinstance(value, str | int | float) else value
            if isinstance(parsed, Decimal):  # Postgres returns 9E+131071 with all its zeros
                parsed = parsed.normalize(_EXACT)
            encoded = encode_operand(replace(column, nullable=sort.nullable), parsed, "after")
            return str(parsed) if isinstance(parsed, Decimal) else encoded
        except (ValueError, ArithmeticError, ValidationError):
            # a class cannot hold infinity or the year 20000, but Postgres orders them, so pages go past them
            if column.sql in _BEYOND and _BEYOND[column.sql](str(value)):
                return str(value)
            raise

    def _column(self, sort: Sort) -> Column:
        column = self._table.column(sort.column)
        assert column is not None  # noqa: S101 the order was checked
        return column


def _is_unknown(column: Column, value: Any) -> bool:
    return column.enum is not None and isinstance(value, str) and value not in {*column.enum}
