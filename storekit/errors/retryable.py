"""Errors after which the same call may succeed."""

from __future__ import annotations

from uuid import UUID

from storekit.errors.base import StorekitError


class InProgress(StorekitError):
    """Another process is saving under this idempotency key, and its lease has not expired.

    Retryable: repeat the call with the same key. It returns the other process's record if that save commits,
    and takes the save over once the lease has expired.

    >>> InProgress("order-17", waited=10).retryable
    True

    Attributes:
        key: the idempotency key.
    """

    retryable = True

    def __init__(self, key: str, waited: float) -> None:
        super().__init__(
            f"another write with idempotency key {key!r} is still in progress after {waited:.0f} s; "
            "call again with the same key"
        )
        self.key = key


class WriteLost(StorekitError):
    """Another process took the write over before its commit; nothing of it is visible.

    Retryable: save the same object, or with the same idempotency key, again.

    >>> from uuid import UUID
    >>> str(WriteLost(UUID(int=7), "its lease expired during the upload"))
    'write 00000000-...-000000000007 was lost (its lease expired ...); nothing of it is visible; save again'

    Attributes:
        write_id: id of the lost write, as in the database.
    """

    retryable = True

    def __init__(self, write_id: UUID, why: str) -> None:
        super().__init__(f"write {write_id} was lost ({why}); nothing of it is visible; save again")
        self.write_id = write_id


class Unavailable(StorekitError):
    """A store could not be reached or did not respond in time; nothing of the call is visible.

    Retryable: repeat the call, after a pause if it fails again.

    >>> error = Unavailable("s3", "no response within 5 s", step="s3.put")
    >>> print(error, "|", error.step)
    s3 is unavailable: no response within 5 s; nothing is visible; call again | s3.put

    Attributes:
        store: "postgres", "mongo" or "s3".
    """

    retryable = True

    def __init__(self, store: str, why: str, *, step: str | None = None) -> None:
        super().__init__(f"{store} is unavailable: {why}; nothing is visible; call again", step=step)
        self.store = store


class OutcomeUnknown(StorekitError):
    """The commit was sent, but its response was lost: the write may or may not have happened.

    Retryable: save the same object, or with the same idempotency key, again. That call first finds out
    whether the earlier one committed, so the write happens at most once.

    >>> from uuid import UUID
    >>> OutcomeUnknown(UUID(int=7)).write_id
    UUID('00000000-0000-0000-0000-000000000007')

    Attributes:
        write_id: id of the write, as in the database.
    """

    retryable = True

    def __init__(self, write_id: UUID) -> None:
        super().__init__(
            f"write {write_id}: the commit was sent, but its response was lost; to find out the outcome, "
            "save the same object, or with the same idempotency key, again"
        )
        self.write_id = write_id
