"""Errors after which a retry of the same call may succeed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from storekit.errors.base import StorekitError


class InProgress(StorekitError):
    """Another process is saving with this idempotency key, and its lease has not expired.

    Retryable: repeat the call with the same key. If the other process commits, the call returns the record of
    that process; if its lease expires, the call takes the write over.

    >>> InProgress("order-17", waited=10).retryable
    True

    Attributes:
        key: the idempotency key.
        waited: seconds that this call waited for the other process.
    """

    retryable = True

    def __init__(self, key: str, waited: float) -> None:
        super().__init__(
            f"another write with idempotency key {key!r} is still in progress after {waited:.0f} s; "
            "call again with the same key, or wait longer: idempotency_wait (STOREKIT_IDEMPOTENCY_WAIT)"
        )
        self.key = key
        self.waited = waited


class NotSequenced(StorekitError):
    """The sequencer has not moved the events that the call waited for.

    Retryable: call again. If no relay is running, start one: `storekit relay`, or `with store.relay():`.
    `storekit doctor` says what holds the log back.

    >>> NotSequenced("position 17", 16, None, timeout=10).retryable
    True

    Attributes:
        position: the last position of the log.
        complete_through: up to which time of change the log is complete; None if that is not known yet.
    """

    retryable = True

    def __init__(self, target: str, position: int, complete_through: datetime | None, timeout: float) -> None:
        through = "nothing" if complete_through is None else complete_through.isoformat()
        super().__init__(
            f"{target} was not reached in {timeout:g} s: the log ends at position {position} and is complete "
            f"through {through}; run storekit doctor to see what holds it back"
        )
        self.position, self.complete_through = position, complete_through


class WriteLost(StorekitError):
    """Another process took the write over before it was committed, so this process cannot commit it.

    Retryable: save the same object again, or repeat the call with the same idempotency key.

    >>> from uuid import UUID
    >>> str(WriteLost(UUID(int=7), "its lease expired during the upload"))
    'write 00000000-...000007 was lost (its lease expired ...); nothing of it was committed; save again'

    Attributes:
        write_id: id of the write in the ledger.
    """

    retryable = True

    def __init__(self, write_id: UUID, why: str) -> None:
        super().__init__(f"write {write_id} was lost ({why}); nothing of it was committed; save again")
        self.write_id = write_id


class TooManyConflicts(StorekitError):
    """Other writers changed the same records first, in each of several attempts; nothing was committed.

    Retryable: repeat the call; if it fails again, wait before the next attempt. You need not load the records
    again: `upsert`, `insert_ignore` and an `update` without `expected_version` read them in each attempt.

    >>> str(TooManyConflicts(10))
    'other writers changed the same records first in 10 attempts; nothing was committed; call again later'

    Attributes:
        attempts: number of attempts.
    """

    retryable = True

    def __init__(self, attempts: int) -> None:
        super().__init__(
            f"other writers changed the same records first in {attempts} attempts; nothing was committed; "
            "call again later"
        )
        self.attempts = attempts


class Unavailable(StorekitError):
    """A store could not be reached or did not respond in time; nothing was committed.

    Retryable: repeat the call; if it fails again, wait before the next attempt.

    >>> error = Unavailable("s3", "no response within 5 s", step="s3.put")
    >>> print(error, "|", error.step)
    s3 is unavailable: no response within 5 s; nothing was committed; call again | s3.put

    Attributes:
        store: "postgres", "mongo" or "s3".
    """

    retryable = True

    def __init__(self, store: str, why: str, *, step: str | None = None, detail: str | None = None) -> None:
        message = f"{store} is unavailable: {why}; nothing was committed; call again"
        super().__init__(message, step=step, detail=detail)
        self.store = store


class OutcomeUnknown(StorekitError):
    """The commit was sent, but its response was lost: the write may or may not have happened.

    Retryable: save the same object again, or repeat the call with the same idempotency key. The repeated call
    first finds out whether the earlier one was committed, so the write happens at most once.

    >>> from uuid import UUID
    >>> OutcomeUnknown(UUID(int=7)).write_id
    UUID('00000000-0000-0000-0000-000000000007')

    Attributes:
        write_id: id of the write in the ledger.
    """

    retryable = True

    def __init__(self, write_id: UUID) -> None:
        super().__init__(
            f"write {write_id}: the commit was sent, but its response was lost; to find out the outcome, "
            "save the same object again, or repeat the call with the same idempotency key"
        )
        self.write_id = write_id
