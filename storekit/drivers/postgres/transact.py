"""Execute statements in a transaction of their own, which is READ COMMITTED and can write.

The statements of a pipeline are an implicit transaction, whose modes are the defaults of the session. A
login, a database or PGOPTIONS may set others: SERIALIZABLE, REPEATABLE READ or read-only. They can be changed
by BEGIN only, since SET TRANSACTION in a pipeline makes Postgres 15 log a warning each time. BEGIN and COMMIT
take 4 us, and a refused call then costs one more trip for ROLLBACK. So they are sent only after a connection
has shown other defaults: nothing was committed then, and the call is sent again.

Until that error the results are the same: REPEATABLE READ and SERIALIZABLE return what READ COMMITTED would
return, or fail with 40001, because each decision of the write functions is made on a row that they lock.
The move of events is the exception: it takes its snapshot after it has locked the head of the log, so it
always begins with BEGIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from storekit.drivers.postgres.errors import OTHER_DEFAULTS, state_of
from storekit.drivers.postgres.exchange import Composed, Refused, Waiting, attempt, exchange
from storekit.drivers.postgres.prepared import Prepared
from storekit.drivers.postgres.wire import may_write
from storekit.ports.statements import Statement, Work

BEGIN_TO_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_TO_READ = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Without READ WRITE, which a standby refuses."""


class Channel(Protocol):
    """The attributes of a pooled connection that a transaction needs."""

    pgconn: PGconn
    other_defaults: bool
    """Whether the session has shown that its transactions have other modes by default."""


def transact(
    connection: Channel,
    statements: Sequence[Statement],
    composed: Sequence[Composed],
    prepared: Prepared | None,
) -> Waiting:
    """Execute statements, as they were composed, in one trip and one transaction, as `exchange` does."""
    if not (connection.other_defaults or isinstance(statements[0], Work)):
        try:
            return (yield from attempt(connection.pgconn, composed, prepared))
        except Refused as refused:
            if state_of(refused.result) not in OTHER_DEFAULTS:
                refused.fail()
        connection.other_defaults = True
    begin: Composed = (BEGIN_TO_WRITE if may_write(statements) else _BEGIN_TO_READ, [])
    try:
        return (yield from attempt(connection.pgconn, [begin, *composed, ("COMMIT", [])], prepared))[1:-1]
    except Refused as refused:
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            yield from exchange(connection.pgconn, [("ROLLBACK", [])], None)
        refused.fail(before=1)
