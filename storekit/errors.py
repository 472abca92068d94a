"""Every error that storekit raises, under one root.

    StorekitError               .step  .retryable  .index  position in the batch
    ├ UsageError                the call is wrong; fix the code (no I/O was done)
    │ ├ TenantRequired          no tenant was named
    │ └ NotLoaded               .field  a document was read that was not loaded
    ├ ConfigurationError        a setting, a server or a schema is wrong
    ├ ValidationError           .field  a value cannot be stored; nothing was sent
    ├ NotFound                  .table .ref_id .field
    ├ Conflict                  .table .ref_id .expected .found  another writer saved first
    ├ InvalidTransition         .from_ .to .allowed  the state machine does not allow the change
    ├ ConstraintViolation       .constraint .fields  the database refused the rows
    ├ IdempotencyConflict       .key  the key was used for a different request
    ├ InProgress                .key  another process is saving under this key   (retryable)
    ├ WriteLost                 .write_id  the write was taken over; nothing is visible (retryable)
    ├ Unavailable               .store  could not be reached; nothing is visible  (retryable)
    ├ OutcomeUnknown            .write_id  commit was sent, its response was lost (retryable)
    └ Corrupt                   .ref .expected .found  the bytes are not what was saved

To retry a retryable error, repeat the call with the same object or the same idempotency key: the write
happens at most once. No message contains a secret or a signed URL.
"""

from __future__ import annotations

from typing import ClassVar, Self
from uuid import UUID


class StorekitError(Exception):
    """Root of all errors that storekit raises.

    >>> [error.__name__ for error in StorekitError.__subclasses__() if error.retryable]
    ['InProgress', 'WriteLost', 'Unavailable', 'OutcomeUnknown']

    Attributes:
        retryable: whether the same call, with the same object or idempotency key, may succeed later.
        step: name of the store operation that failed, such as "s3.put"; None if no operation was involved.
        index: position of the failing record in the batch, counted from 0; None outside batches.
    """

    retryable: ClassVar[bool] = False
    index: int | None = None

    def __init__(self, message: str, *, step: str | None = None) -> None:
        super().__init__(message)
        self.step = step

    def at(self, index: int) -> Self:
        """Set `index` and put it in front of the message, unless it is set already; return the error."""
        if self.index is None:
            self.index, self.args = index, (f"[{index}] {self}",)
        return self


class UsageError(StorekitError):
    """The call or the declaration is wrong; nothing was sent to any store.

    Do not retry: fix the code. The message names the mistake and what to write instead.

    >>> class Note(Entity): ...
    >>> Note(version=1)
    Traceback (most recent call last):
        ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Note
      Value error, version: set by storekit, not by the caller ...
    >>> references("notes", on_delete="ignore")
    Traceback (most recent call last):
        ...
    storekit.errors.UsageError: references(on_delete='ignore') must be one of restrict, cascade, set null
    """


class TenantRequired(UsageError):
    """No tenant was named, or the value is not a tenant's UUID; nothing was sent to any store.

    Do not retry: open a scope with `store.scope(tenant=..., actor=...)`.

    >>> from storekit.testing import memory_store
    >>> memory_store().scope(tenant=None, actor="ada")
    Traceback (most recent call last):
        ...
    storekit.errors.TenantRequired: ...
    """


class NotLoaded(UsageError):
    """A document field was read although the record was loaded without it.

    Do not retry: name the field in `get(ref_id, load=[...])`.

    >>> str(NotLoaded("Report.body", 'load it with get(ref_id, load=["body"])'))
    'Report.body is not loaded; load it with get(ref_id, load=["body"])'

    Attributes:
        field: class and field, as in "Report.body".
        remedy: the call that loads it.
    """

    def __init__(self, field: str, remedy: str) -> None:
        super().__init__(f"{field} is not loaded; {remedy}")
        self.field = field
        self.remedy = remedy


class ConfigurationError(StorekitError):
    """A setting, a server or a database schema is wrong or missing.

    Do not retry: follow the remedy in the message, such as running the migrations.

    >>> from pathlib import Path
    >>> from storekit.schema.lines import read
    >>> read([Line("app", Path("migrations")), Line("app", Path("other"))])
    Traceback (most recent call last):
        ...
    storekit.errors.ConfigurationError: two lines of migrations are named app; give each a name of its own
    """


class ValidationError(StorekitError):
    """A value cannot be stored; nothing was sent to any store.

    Do not retry: pass another value.

    >>> from storekit.testing import memory_store
    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> with memory_store(Note) as store:
    ...     store.scope(tenant=Note(title="").id, actor="ada").of(Note).save(Note(title="a\\0b"))
    Traceback (most recent call last):
        ...
    storekit.errors.ValidationError: Note.title: it contains U+0000, which Postgres cannot store

    Attributes:
        field: class and field, as in "Note.title", or the name of the argument; None if neither applies.
    """

    def __init__(self, message: str, *, field: str | None = None, step: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message, step=step)
        self.field = field


class NotFound(StorekitError):
    """The tenant has no such record, or the record has no content in the field.

    Do not retry: check the ref_id and the tenant of the scope. A record of another tenant and a soft-deleted
    record count as not found.

    >>> str(NotFound("notes", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG"))
    'notes 01JZ6N0E5V8Q4Y2T7R9WXBCDFG not found in this tenant'

    Attributes:
        table: table of the record.
        ref_id: id of the record.
        field: the empty blob or document field; None if the record itself was not found.
    """

    def __init__(self, table: str, ref_id: str, field: str | None = None) -> None:
        what = f"has no content in {field}" if field else "not found in this tenant"
        super().__init__(f"{table} {ref_id} {what}")
        self.table = table
        self.ref_id = ref_id
        self.field = field


class Conflict(StorekitError):
    """Another writer changed the record since this object was loaded; nothing of this save is visible.

    Do not retry with the same object: load the record again, re-apply the change and save.

    >>> error = Conflict("notes", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG", expected=1, found=2)
    >>> error.expected, error.found
    (1, 2)

    Attributes:
        table: table of the record.
        ref_id: id of the record.
        expected: version that the save was based on; 0 for a new record.
        found: version in the database.
    """

    def __init__(self, table: str, ref_id: str, expected: int, found: int) -> None:
        super().__init__(
            f"{table} {ref_id}: the stored version is {found}, but the save was based on {expected}; "
            "load it again and re-apply your change"
        )
        self.table = table
        self.ref_id = ref_id
        self.expected = expected
        self.found = found


class InvalidTransition(StorekitError):
    """The record's state machine does not allow this change of state; nothing was changed.

    Do not retry: choose one of the `allowed` states.

    >>> str(InvalidTransition("runs", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG", "running", "pending", ("done", "failed")))
    'runs 01JZ6N0E5V8Q4Y2T7R9WXBCDFG may not go from running to pending; allowed: done, failed'

    Attributes:
        table: table of the record.
        ref_id: id of the record.
        from_: present state; None for a new record.
        to: requested state.
        allowed: states that the record may go to; empty if its present state is final.
    """

    def __init__(self, table: str, ref_id: str, from_: str | None, to: str, allowed: tuple[str, ...]) -> None:
        change = f"begin as {to}" if from_ is None else f"go from {from_} to {to}"
        remedy = f"allowed: {', '.join(allowed)}" if allowed else f"{from_} is final"
        super().__init__(f"{table} {ref_id} may not {change}; {remedy}")
        self.table = table
        self.ref_id = ref_id
        self.from_ = from_
        self.to = to
        self.allowed = allowed


class ConstraintViolation(StorekitError):
    """The database refused the rows: a unique value is taken, or a referenced record is missing or in use.

    Nothing of the write is visible. Do not retry: change the values that the message names.

    >>> error = ConstraintViolation("duplicate key", "notes_slug_uq_0c1e9f3a")
    >>> error.name("notes", ("slug",))
    >>> str(error)
    'notes: another record of this tenant has the same slug (notes_slug_uq_0c1e9f3a)'

    Attributes:
        constraint: name of the constraint or index in the database, if it reported one.
        fields: fields of the unique key whose values are taken; empty for other constraints.
    """

    def __init__(self, message: str, constraint: str | None, *, step: str | None = None) -> None:
        super().__init__(message, step=step)
        self.constraint = constraint
        self.fields: tuple[str, ...] = ()

    def name(self, table: str, fields: tuple[str, ...]) -> None:
        """Replace the database's message, which names only a constraint, by one that names the fields."""
        message = f"{table}: another record of this tenant has the same {', '.join(fields)}"
        self.args = (f"{message} ({self.constraint})",)
        self.fields = fields


class IdempotencyConflict(StorekitError):
    """The idempotency key was already used for a different request; nothing was changed.

    Do not retry with this key: use a new key for new content.

    >>> str(IdempotencyConflict("order-17"))
    "idempotency key 'order-17' was used for a different request; use a new key for new content"

    Attributes:
        key: the idempotency key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"idempotency key {key!r} was used for a different request; use a new key for new content"
        )
        self.key = key


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


class Corrupt(StorekitError):
    """The stored bytes are missing or differ from the bytes that were saved.

    Do not retry: the content is damaged in its store. Restore it from a backup or save new content.

    >>> error = Corrupt("reports/pdf/01JZ", expected="9 bytes", found="7 bytes")
    >>> str(error)
    'reports/pdf/01JZ: expected 9 bytes, found 7 bytes'

    Attributes:
        ref: the S3 key, the document or the record.
        expected: what the ledger in Postgres recorded.
        found: what the store returned.
    """

    def __init__(self, ref: str, expected: str, found: str) -> None:
        super().__init__(f"{ref}: expected {expected}, found {found}")
        self.ref = ref
        self.expected = expected
        self.found = found
