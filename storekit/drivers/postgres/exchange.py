"""Send several statements in one trip and one implicit transaction, with libpq's pipeline mode.

The exchange is a generator that does no I/O of its own: it yields whenever it has to wait for the socket, so
the sync and the async API run the same code. It calls libpq directly because `Connection.pipeline()` adds
about 130 us of Python to each exchange, which is more than a round trip on loopback.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NoReturn, TypeAlias

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from storekit.drivers.postgres.errors import raise_for, state_of
from storekit.drivers.postgres.prepared import Prepared
from storekit.ports.stores import AnswerLost

Composed: TypeAlias = tuple[str, list[bytes | None]]
Waiting: TypeAlias = Generator[bool, None, list[PGresult]]
"""Yields True if it waits to write, False if it waits to read; resume it when the socket is ready."""


class TimedOut(AnswerLost):
    """The server did not respond in time."""

    def __init__(self, seconds: float) -> None:
        self.why = f"no response within {seconds:g} s, which is timeout (STOREKIT_TIMEOUT)"
        super().__init__(self.why)


class Refused(Exception):
    """The server refused a statement, and nothing was committed."""

    def __init__(self, result: PGresult, place: int) -> None:
        super().__init__(result, place)
        self.result, self.place = result, place

    def fail(self, before: int = 0) -> NoReturn:
        """Raise the error for it; `before` is the number of statements that the caller did not ask for."""
        raise_for(self.result, self.place - before)


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
    try:
        return (yield from attempt(pgconn, statements, prepared))
    except Refused as refused:
        refused.fail()


def attempt(pgconn: PGconn, statements: Sequence[Composed], prepared: Prepared | None) -> Waiting:
    """Do what `exchange` does, but raise `Refused` with the server's error response."""
    begun_before = pgconn.transaction_status != TransactionStatus.IDLE
    try:
        return (yield from _exchange_once(pgconn, statements, prepared))
    except Refused as refused:
        state = state_of(refused.result)
        # statements of an earlier exchange would be missing from a transaction that is begun anew
        if prepared is None or begun_before or not prepared.may_be_stale(state):
            raise
    # the exchange itself may have contained BEGIN
    undo: list[Composed] = [] if pgconn.transaction_status == TransactionStatus.IDLE else [("ROLLBACK", [])]
    try:
        results = yield from _exchange_once(pgconn, [*undo, *statements], None)
    except Refused as refused:
        raise Refused(refused.result, refused.place - len(undo)) from None
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
) -> dict[int, tuple[str | None, bytes]]:
    """Queue all statements. Return the text and name of each new prepared one, by its result's position.

    A statement that is closed has a result too, whose text is None.
    """
    new: dict[int, tuple[str | None, bytes]] = {}
    position = 0
    # Statements are closed before the others are sent, because the server skips what follows an error.
    for name in prepared.make_room(statements) if prepared is not None else ():
        pgconn.send_close_prepared(name)
        new[position] = None, name
        position += 1
    for text, parameters in statements:
        found = None if prepared is None else prepared.get(text)
        if found is None and prepared is not None and not prepared.full:
            found = prepared.name(text)
            if (text, found) not in new.values():  # the same statement can occur twice in one exchange
                pgconn.send_prepare(found, text.encode())
                new[position] = text, found
                position += 1
        if found is None:
            pgconn.send_query_params(text.encode(), parameters)
        else:
            pgconn.send_query_prepared(found, parameters)
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
    new: dict[int, tuple[str | None, bytes]],
    prepared: Prepared | None,
    expected: int,
) -> list[PGresult]:
    """Return one result for each statement; raise the first refusal.

    A prepared statement is recorded only when the server has confirmed it: after an error the rest of the
    pipeline is skipped, and a name recorded too early would refer to a statement that does not exist.
    """
    answers: list[PGresult] = []
    for position, result in enumerate(results):
        if result.status not in _GOOD:
            raise Refused(result, len(answers))
        if position in new and prepared is not None:
            text, name = new[position]
            if text is not None:
                prepared[text] = name
        else:
            answers.append(result)
    if len(answers) != expected:
        raise AnswerLost(f"expected {expected} results, got {len(answers)}")
    return answers
