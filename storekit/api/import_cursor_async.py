"""The asynchronous import cursor: it stores how far the data of another system was imported."""

from __future__ import annotations

from storekit.api.base_cursor import BaseCursor
from storekit.flows.read.import_cursor import read
from storekit.model.save.memory import stored_column


class AsyncCursor(BaseCursor):
    """Store how far the data of another system was imported.

    `scope.cursor(name)` returns it without I/O. Read it, import what comes after its position, and move
    it in the same unit of work with `tx.advance(cursor, to)`: the new position becomes visible together
    with the imported records, so an import that crashes can be run again. Only one task at a time may
    use it.

    Example:
        >>> cursor = acme.cursor("webhooks")
        >>> start = await cursor.read()
        >>> async with acme.transaction() as tx:
        ...     tx.insert_ignore([Article(slug="event-17")])
        ...     tx.advance(cursor, "17")
        >>> (start, cursor.position)
        (None, '17')
    """

    async def read(self) -> str | None:
        """Read the current position.

        Cost: one Postgres trip.

        Returns:
            The position, or None if the cursor was never moved.

        Raises:
            Unavailable: Postgres could not be reached. Retryable: call again.

        Example:
            >>> cursor = acme.cursor("webhooks")
            >>> await cursor.read() is None
            True
        """
        self._record = await read(self._context, self.name)
        return self.position

    @property
    def position(self) -> str | None:
        """Return the position as of the last `read` or committed `advance` of this object. No I/O.

        Returns:
            The position, or None if the cursor was never moved.

        Raises:
            UsageError: the cursor was not read.

        Example:
            >>> cursor = acme.cursor("webhooks")
            >>> _ = await cursor.read()
            >>> cursor.position is None
            True
        """
        position: str | None = stored_column(self._require_record(), "position")
        return position
