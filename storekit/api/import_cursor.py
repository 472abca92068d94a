"""Where one is in another system's data: read, and moved on in the same commit as what was made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storekit.bridge import run
from storekit.errors import UsageError, ValidationError
from storekit.flows.context import Actor, Context
from storekit.flows.read.import_cursor import read
from storekit.model.save.memory import stored_column
from storekit.model.values.limits import check_length, check_text

if TYPE_CHECKING:
    from storekit.model.declare.import_cursor import Position

_LONGEST_POSITION = 4096


class BaseCursor:
    """A named place in another system's data, of one tenant. Of one thread or task at a time."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        if not isinstance(name, str) or not name:
            raise ValidationError("it must be a str that is not empty", field="cursor")
        self.name = check_length(check_text(name, "cursor"), 255, "cursor")
        self._record: Position | None = None

    @property
    def position(self) -> str | None:
        """Where it is as far as this object knows; None if it was never moved."""
        position: str | None = stored_column(self._found, "position")
        return position

    def moved(self, to: str, actor: Actor) -> Position:
        """Give the record of this cursor as it shall be, for a unit of work."""
        if actor.tenant != self._context.actor.tenant:
            raise UsageError(f"cursor {self.name} is another tenant's; take it from the unit's own scope")
        if not isinstance(to, str) or not to:
            raise ValidationError("a position is a str that is not empty", field=f"cursor {self.name}")
        self._found.position = check_length(check_text(to, self.name), _LONGEST_POSITION, self.name)
        return self._found

    @property
    def _found(self) -> Position:
        if self._record is None:
            raise UsageError(f"cursor {self.name} was not read; call read() before it is moved")
        return self._record


class Cursor(BaseCursor):
    """What `scope.cursor(name)` gives."""

    def read(self) -> str | None:
        """Read where it is; None if it was never moved. One Postgres trip."""
        self._record = run(read(self._context, self.name))
        return self.position


class AsyncCursor(BaseCursor):
    """As `Cursor`, awaited."""

    async def read(self) -> str | None:
        """As `Cursor.read`."""
        self._record = await read(self._context, self.name)
        return self.position
