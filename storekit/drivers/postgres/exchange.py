"""Several statements in one trip and one implicit transaction, on libpq's own pipeline.

Nothing between here and the wire decides anything: psycopg's connection gives the socket, its pool the
health. The exchange is a generator that yields while it waits, so both colours drive the same code.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from hashlib import blake2b
from typing import TypeAlias

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from storekit.drivers.postgres.errors import raise_for
from storekit.ports import AnswerLost

Composed: TypeAlias = tuple[str, list[bytes | None]]
Waiting: TypeAlias = Generator[bool, None, list[PGresult]]
"""Yields whether there is still something to write; resumed when the socket is ready."""


class TimedOut(AnswerLost):
    """The server did not answer in time."""


_GOOD = {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}


def exchange(pgconn: PGconn, statements: Sequence[Composed], prepared: dict[str, bytes] | None) -> Waiting:
    """Send all, then read all; the implicit transaction commits at the sync point.

    Args:
        prepared: names of this connection's prepared statements, kept up; None sends the text each time.

    Raises:
        AnswerLost: the link broke before the sync point was answered.
        StorekitError: the server refused a statement; nothing was committed.
    """
    try:
        pgconn.enter_pipeline_mode()
        new = _send(pgconn, statements, prepared)
        while pgconn.flush():
            yield True
            pgconn.consume_input()
        results = yield from _receive(pgconn)
        pgconn.exit_pipeline_mode()
    except psycopg.OperationalError as error:
        raise AnswerLost(str(error)) from error
    return _judged(results, new, prepared, len(statements))


def _send(
    pgconn: PGconn, statements: Sequence[Composed], prepared: dict[str, bytes] | None
) -> dict[int, tuple[str, bytes]]:
    """Queue all statements; answer which results will be those of new prepared statements."""
    new: dict[int, tuple[str, bytes]] = {}
    position = 0
    for text, parameters in statements:
        if prepared is None:
            pgconn.send_query_params(text.encode(), parameters)
        else:
            name = prepared.get(text)
            if name is None:
                name = _name(text)
                if (text, name) not in new.values():
                    pgconn.send_prepare(name, text.encode())
                    new[position] = text, name
                    position += 1
            pgconn.send_query_prepared(name, parameters)
        position += 1
    pgconn.pipeline_sync()
    return new


def _name(text: str) -> bytes:
    """Name a statement for what it says: in a session that a pooler shares, no name means two things."""
    return b"sk" + blake2b(text.encode(), digest_size=16).hexdigest().encode()


def _receive(pgconn: PGconn) -> Waiting:
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            yield False
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            continue
        if result.status == ExecStatus.PIPELINE_SYNC:
            return results
        results.append(result)
        if pgconn.status != 0:
            raise psycopg.OperationalError("the connection was closed by the server")


def _judged(
    results: list[PGresult],
    new: dict[int, tuple[str, bytes]],
    prepared: dict[str, bytes] | None,
    expected: int,
) -> list[PGresult]:
    """Take the results apart: prepared statements are noted, the first refusal is raised."""
    answers = []
    for position, result in enumerate(results):
        if result.status not in _GOOD:
            raise_for(result)
        if position in new and prepared is not None:
            text, name = new[position]
            prepared[text] = name
        else:
            answers.append(result)
    if len(answers) != expected:
        raise AnswerLost(f"{len(answers)} answers to {expected} statements")
    return answers
