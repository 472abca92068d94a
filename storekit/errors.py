"""Every error storekit raises, under one root.

    StorekitError               .step  .retryable  .index  which record of a batch
    ├ UsageError                the call is wrong; fix the code (no I/O was done)
    │ ├ TenantRequired          no tenant was named
    │ └ NotLoaded               .field  a document was read that was not loaded
    ├ ConfigurationError        a setting, a server or a schema is not as it must be
    ├ ValidationError           .field  a value cannot be stored; nothing was sent
    ├ NotFound                  .table .ref_id .field
    ├ Conflict                  .table .ref_id .expected .found  somebody else saved first
    ├ InvalidTransition         .from_ .to .allowed  the state machine has no such move
    ├ ConstraintViolation       .constraint .fields  the database's rule said no
    ├ IdempotencyConflict       .key  the key was used for another request
    ├ InProgress                .key  another process is saving under this key   (retryable)
    ├ WriteLost                 .write_id  the write was taken over; nothing is visible (retryable)
    ├ Unavailable               .store  could not be reached; nothing is visible  (retryable)
    ├ OutcomeUnknown            .write_id  commit was sent, its answer was lost   (retryable)
    └ Corrupt                   .ref .expected .found  the bytes are not what was saved

A retryable error may be answered by calling again with the same object or the same idempotency key.
No message holds a secret or a signed URL.
"""

from __future__ import annotations

from typing import ClassVar, Self
from uuid import UUID


class StorekitError(Exception):
    """Root of all errors of storekit."""

    retryable: ClassVar[bool] = False

    index: int | None = None
    """Which record of a batch it is about, counted from 0."""

    def __init__(self, message: str, *, step: str | None = None) -> None:
        super().__init__(message)
        self.step = step

    def at(self, index: int) -> Self:
        """Say which record of a batch it is about."""
        if self.index is None:
            self.index, self.args = index, (f"[{index}] {self}",)
        return self


class UsageError(StorekitError):
    """The call itself is wrong; nothing was sent anywhere."""


class TenantRequired(UsageError):
    """No tenant was named: take a scope with `store.scope(tenant=..., actor=...)`."""


class NotLoaded(UsageError):
    """A document was read that was not loaded."""

    def __init__(self, field: str, remedy: str) -> None:
        super().__init__(f"{field} is not loaded; {remedy}")
        self.field = field
        self.remedy = remedy


class ConfigurationError(StorekitError):
    """A setting, a server or a schema is not as it must be; the message names the remedy."""


class ValidationError(StorekitError):
    """A value cannot be stored; nothing was sent anywhere."""

    def __init__(self, message: str, *, field: str | None = None, step: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message, step=step)
        self.field = field


class NotFound(StorekitError):
    """There is no such record, or nothing in that field, for this tenant."""

    def __init__(self, table: str, ref_id: str, field: str | None = None) -> None:
        what = f"{table} {ref_id} has nothing in {field}" if field else f"no {table} {ref_id}"
        super().__init__(f"{what} in this tenant")
        self.table = table
        self.ref_id = ref_id
        self.field = field


class Conflict(StorekitError):
    """Somebody else saved first; load again and re-apply the change."""

    def __init__(self, table: str, ref_id: str, expected: int, found: int) -> None:
        super().__init__(
            f"{table} {ref_id}: version is {found}, you saved over {expected}; "
            "load it again and re-apply your change"
        )
        self.table = table
        self.ref_id = ref_id
        self.expected = expected
        self.found = found


class InvalidTransition(StorekitError):
    """The record's state machine has no such move; nothing was changed."""

    def __init__(self, table: str, ref_id: str, from_: str | None, to: str, allowed: tuple[str, ...]) -> None:
        did = f"begin as {to}" if from_ is None else f"go from {from_} to {to}"
        what = f"{', '.join(allowed)} would do" if allowed else f"{from_} is final"
        super().__init__(f"{table} {ref_id} may not {did}; {what}")
        self.table = table
        self.ref_id = ref_id
        self.from_ = from_
        self.to = to
        self.allowed = allowed


class ConstraintViolation(StorekitError):
    """The database refused the rows; nothing is visible."""

    def __init__(self, message: str, constraint: str | None, *, step: str | None = None) -> None:
        super().__init__(message, step=step)
        self.constraint = constraint
        self.fields: tuple[str, ...] = ()

    def name(self, table: str, fields: tuple[str, ...]) -> None:
        """Say which fields' values are taken: the database knows its key alone."""
        told = f"{table}: another record of this tenant has the same {', '.join(fields)}"
        self.args = (f"{told} ({self.constraint})",)
        self.fields = fields


class IdempotencyConflict(StorekitError):
    """The idempotency key was already used for a different request."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"idempotency key {key!r} was used for another request; use a new key for new content"
        )
        self.key = key


class InProgress(StorekitError):
    """Another process is saving under this key and its lease still runs."""

    retryable = True

    def __init__(self, key: str, waited: float) -> None:
        super().__init__(
            f"another write with idempotency key {key!r} is still in progress after {waited:.0f} s; "
            "call again with the same key"
        )
        self.key = key


class WriteLost(StorekitError):
    """The write was taken over before its commit; nothing of it is visible."""

    retryable = True

    def __init__(self, write_id: UUID, why: str) -> None:
        super().__init__(f"write {write_id} was lost ({why}); nothing of it is visible, save again")
        self.write_id = write_id


class Unavailable(StorekitError):
    """A store could not be reached or did not answer in time; nothing is visible."""

    retryable = True

    def __init__(self, store: str, why: str, *, step: str | None = None) -> None:
        super().__init__(f"{store} is unavailable: {why}; nothing is visible, call again", step=step)
        self.store = store


class OutcomeUnknown(StorekitError):
    """Commit was sent and its answer was lost; saving the same object or key again resolves it."""

    retryable = True

    def __init__(self, write_id: UUID) -> None:
        super().__init__(
            f"write {write_id}: commit was sent, its answer was lost; "
            "save the same object, or the same idempotency key, again to learn the outcome"
        )
        self.write_id = write_id


class Corrupt(StorekitError):
    """The stored bytes are not the bytes that were saved, or are missing. Never retried."""

    def __init__(self, ref: str, expected: str, found: str) -> None:
        super().__init__(f"{ref}: expected {expected}, found {found}")
        self.ref = ref
        self.expected = expected
        self.found = found
