"""Send several statements in one trip and one implicit transaction, with libpq's pipeline mode.

The exchange is a generator that does no I/O of its own: it yields whenever it has to wait for the socket, so
the sync and the async API run the same code. It calls libpq directly because `Connection.pipeline()` adds
about 130 us of Python to each exchange, which is more than a round trip on loopback.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from hashlib import blake2b
from typing import TypeAlias

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from storekit.drivers.postgres.errors import LOST, STALE, raise_for, state_of
from storekit.ports.stores import AnswerLost

Composed: TypeAlias = tuple[str, list[bytes | None]]
Waiting: TypeAlias = Generator[bool, None, list[PGresult]]
"""Yields True if it waits to write, False if it waits to read; resume it when the socket is ready."""


class TimedOut(AnswerLost):
    """The server did not respond in time."""

    def __init__(self, seconds: float) -> None:
        self.why = f"no response within {seconds:g} s, which is timeout (STOREKIT_TIMEOUT)"
        super().__init__(self.why)


class Prepared(dict[str, bytes]):
    """The names of a connection's prepared statements, by text."""

    def __init__(self) -> None:
        super().__init__()
        self._edition = 0
        self._lost = False

    def name(self, text: str) -> bytes:
        """Derive a statement's name from its text.

        Behind a pooler several clients share a session of the server. With numbered names, `_1` of one client
        would run the statement of another client. A name that is a hash of the text is the same in all
        clients. A forgotten statement stays in the server's session, so its successor gets another name.
        """
        edition = f"_{self._edition}" if self._edition else ""
        return f"sk{blake2b(text.encode(), digest_size=16).hexdigest()}{edition}".encode()

    def may_be_stale(self, state: str) -> bool:
        """Return whether an error of this SQLSTATE may be due to a stale statement.

        If a session loses its statements again and again, a pooler resets it, and the settings must change.
        """
        return state in STALE and not (state == LOST and self._lost)

    def forget(self, state: str) -> None:
        """Forget all statements after an error of this SQLSTATE."""
        self.clear()
        self._edition += 1
        self._lost = self._lost or state == LOST


class _Stale(Exception):
    """A prepared statement may be stale; the argument is the failed result."""


_GOOD = {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}


def exchange(pgconn: PGconn, statements: Sequence[Composed], prepared: Prepared | None) -> Waiting:
    """Send all statements, then read all results.

    Without BEGIN the statements of a pipeline form one implicit transaction, which commits at the sync point.
    If a prepared statement may be stale, because a table or type has changed, the transaction that the
    exchange began was rolled back. The exchange is then sent once more, without prepared statements, which is
    one more trip.

    Args:
        prepared: this connection's prepared statements; new ones are added. None sends the text each time,
            which costs a `url` 406 us instead of 151.

    Raises:
        AnswerLost: the connection broke before the server confirmed the sync point, so the transaction may
            or may not have committed.
        StorekitError: the server refused a statement; nothing was committed.
    """
    begun_before = pgconn.transaction_status != TransactionStatus.IDLE
    try:
        return (yield from _exchange_once(pgconn, statements, prepared))
    except _Stale as stale:
        result: PGresult = stale.args[0]
        state = state_of(result)
        # statements of an earlier exchange would be missing from a transaction that is begun anew
        if prepared is None or begun_before or not prepared.may_be_stale(state):
            raise_for(result)
    # the exchange itself may have contained BEGIN
    undo: list[Composed] = [] if pgconn.transaction_status == TransactionStatus.IDLE else [("ROLLBACK", [])]
    results = yield from _exchange_once(pgconn, [*undo, *statements], None)
    prepared.forget(state)  # only now: an error with another cause would otherwise add names at each call
    return results[len(undo) :]


def _exchange_once(pgconn: PGconn, statements: Sequence[Composed], prepared: Prepared | None) -> Waiting:
    try:
        pgconn.enter_pipeline_mode()
        new = _send(pgconn, statements, prepared)
        # Read while writing: a server whose send buffer is full stops reading, and both sides would wait.
        while pgconn.flush():
            yield True
            pgconn.consume_input()
        results = yield from _receive(pgconn)
        # Not in a finally block: leaving pipeline mode fails while results are outstanding. If an error skips
        # this line, the connection is not idle, and the pool closes it.
        pgconn.exit_pipeline_mode()
    except psycopg.OperationalError as error:
        raise AnswerLost(str(error)) from error
    return _checked(results, new, prepared, len(statements))


def _send(
    pgconn: PGconn, statements: Sequence[Composed], prepared: Prepared | None
) -> dict[int, tuple[str, bytes]]:
    """Queue all statements. Return the text and name of each new prepared one, by its result's position."""
    new: dict[int, tuple[str, bytes]] = {}
    position = 0
    for text, parameters in statements:
        if prepared is None:
            pgconn.send_query_params(text.encode(), parameters)
        else:
            name = prepared.get(text)
            if name is None:
                name = prepared.name(text)
                if (text, name) not in new.values():  # the same statement can occur twice in one exchange
                    pgconn.send_prepare(name, text.encode())
                    new[position] = text, name
                    position += 1
            pgconn.send_query_prepared(name, parameters)
        position += 1
    pgconn.pipeline_sync()
    return new


def _receive(pgconn: PGconn) -> Waiting:
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            yield False
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:  # marks the end of one statement's results, not of the exchange
            continue
        if result.status == ExecStatus.PIPELINE_SYNC:
            return results
        results.append(result)
        # After FATAL the server closes the connection, and no sync point will follow.
        if pgconn.status != 0:
            raise psycopg.OperationalError("the connection was closed by the server")


def _checked(
    results: list[PGresult],
    new: dict[int, tuple[str, bytes]],
    prepared: Prepared | None,
    expected: int,
) -> list[PGresult]:
    """Return one result for each statement; raise the first refusal.

    A prepared statement is recorded only when the server has confirmed it: after an error the rest of the
    pipeline is skipped, and a name recorded too early would refer to a statement that does not exist.
    """
    answers = []
    for position, result in enumerate(results):
        if result.status not in _GOOD:
            if prepared is not None and state_of(result) in STALE:
                raise _Stale(result)
            raise_for(result)
        if position in new and prepared is not None:
            text, name = new[position]
            prepared[text] = name
        else:
            answers.append(result)
    if len(answers) != expected:
        raise AnswerLost(f"expected {expected} results, got {len(answers)}")
    return answers
