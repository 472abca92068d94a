"""The base class of the sync and the async import cursor, and how a unit of work moves one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storekit.errors import UsageError, ValidationError
from storekit.flows.context import Actor, Context
from storekit.model.values.limits import check_length, check_text

if TYPE_CHECKING:
    from storekit.model.declare.import_cursor import Position

_LONGEST_NAME = 255
_LONGEST_POSITION = 4096


class BaseCursor:
    """An import cursor and its record, which is None until it is read."""

    name: str
    """The name that was given to `scope.cursor(name)`."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        if not isinstance(name, str) or not name:
            raise ValidationError("the name must be a non-empty str", field="cursor")
        self.name = check_length(check_text(name, "cursor"), _LONGEST_NAME, "cursor")
        self._record: Position | None = None

    def _require_record(self) -> Position:
        if self._record is None:
            raise UsageError(f"cursor {self.name} was not read; call read() first")
        return self._record


def moved(cursor: BaseCursor, to: str, actor: Actor) -> Position:
    """Return the record of a cursor with its new position, for a unit of work to save."""
    if not isinstance(cursor, BaseCursor):
        raise UsageError("advance() takes a cursor, as returned by scope.cursor(name), and a position")
    if actor.tenant != cursor._context.actor.tenant:  # noqa: SLF001  BaseCursor is of this module
        raise UsageError(
            f"cursor {cursor.name} belongs to another tenant; get it from the scope of this unit of work"
        )
    if not isinstance(to, str) or not to:
        raise ValidationError("it must be a non-empty str", field="position")
    record = cursor._require_record()  # noqa: SLF001
    record.position = check_length(check_text(to, "position"), _LONGEST_POSITION, "position")
    return record
