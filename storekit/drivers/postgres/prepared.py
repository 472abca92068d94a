"""The prepared statements of a connection: their names, and how many there may be."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import psycopg

from storekit.drivers.postgres.errors import LOST, STALE

MOST = 256
"""Prepared statements of one connection. Each takes about 34 kB of memory of the server."""
_CAN_CLOSE = psycopg.capabilities.has_send_close_prepared()  # libpq 17 and newer


class Prepared(OrderedDict[str, bytes]):
    """The names of a connection's prepared statements, by text. The one that was used last comes last."""

    def __init__(self) -> None:
        super().__init__()
        self._edition = 0
        self._lost = False
        self._forgotten: list[bytes] = []

    def name(self, text: str) -> bytes:
        """Derive a statement's name from its text.

        Behind a pooler several clients share a session of the server. With numbered names, `_1` of one client
        would run the statement of another client. A name that is a hash of the text is the same in all
        clients. A forgotten statement may still be in the server's session, so its successor gets another
        name.
        """
        edition = f"_{self._edition}" if self._edition else ""
        return f"sk{blake2b(text.encode(), digest_size=16).hexdigest()}{edition}".encode()

    def make_room(self, statements: Iterable[tuple[str, object]]) -> Sequence[bytes]:
        """Forget the least recently used statements, so that the new ones fit.

        Callers of an API may decide which filters a query has. Without a limit, each new combination would
        take memory of the server for the life of the connection.

        Returns:
            The names of forgotten statements, which the server must be told to forget too.
        """
        new = 0
        for text, _ in statements:
            try:
                self.move_to_end(text)
            except KeyError:
                new += 1
        if not new or not _CAN_CLOSE:
            return ()
        names, self._forgotten = self._forgotten, []
        while self and len(self) + new > MOST:
            names.append(self.popitem(last=False)[1])
        return names

    @property
    def full(self) -> bool:
        """Whether no statement can be added, because the libpq cannot close any."""
        return len(self) >= MOST

    def may_be_stale(self, state: str) -> bool:
        """Return whether an error of this SQLSTATE may be due to a stale statement.

        If a session loses its statements a second time, a pooler resets the session. Sending the call again
        would not help then: the settings must change.
        """
        return state in STALE and not (state == LOST and self._lost)

    def forget(self, state: str) -> None:
        """Forget all statements after an error of this SQLSTATE."""
        self._forgotten += self.values()
        self.clear()
        self._edition += 1
        self._lost = self._lost or state == LOST
