"""Errors caused by the stored data, so that a retry does not help."""

from __future__ import annotations

from storekit.errors.base import StorekitError


class NotFound(StorekitError):
    """The tenant has no such record, or the field of the record is empty.

    Do not retry: check the ref_id and the tenant of the scope. A record of another tenant and a soft-deleted
    record count as not found.

    >>> str(NotFound("notes", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG"))
    'notes 01JZ6N0E5V8Q4Y2T7R9WXBCDFG not found in this tenant'

    Attributes:
        table: table of the record.
        ref_id: ref_id of the record, a ULID.
        field: the empty blob or document field; None if the record itself was not found.
    """

    def __init__(self, table: str, ref_id: str, field: str | None = None) -> None:
        what = f"has no content in {field}" if field else "not found in this tenant"
        super().__init__(f"{table} {ref_id} {what}")
        self.table = table
        self.ref_id = ref_id
        self.field = field


class Conflict(StorekitError):
    """Another writer changed the record after this object was loaded; nothing of this save was committed.

    Do not retry with the same object: load the record again, re-apply the change and save.

    >>> error = Conflict("notes", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG", expected=1, found=2)
    >>> error.expected, error.found
    (1, 2)

    Attributes:
        table: table of the record.
        ref_id: ref_id of the record, a ULID.
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
    'runs 01JZ6N0E5V8Q4Y2T7R9WXBCDFG cannot change from running to pending; allowed: done, failed'
    >>> str(InvalidTransition("runs", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG", "done", "done", ()))
    'runs 01JZ6N0E5V8Q4Y2T7R9WXBCDFG is done already, and its last change was a different ...'

    Attributes:
        table: table of the record.
        ref_id: ref_id of the record, a ULID.
        from_: current state; None for a new record.
        to: requested state.
        allowed: states that the record can change to; empty if its current state is final.
    """

    def __init__(self, table: str, ref_id: str, from_: str | None, to: str, allowed: tuple[str, ...]) -> None:
        remedy = f"allowed: {', '.join(allowed)}" if allowed else f"{from_} is final"
        if from_ == to:  # a repetition returns the record, unless something has changed it since
            what = f"is {to} already, and its last change was a different one"
        else:
            what = f"cannot {f'start as {to}' if from_ is None else f'change from {from_} to {to}'}"
        super().__init__(f"{table} {ref_id} {what}; {remedy}")
        self.table = table
        self.ref_id = ref_id
        self.from_ = from_
        self.to = to
        self.allowed = allowed


class ConstraintViolation(StorekitError):
    """A database constraint rejected the rows, such as a unique key or a reference.

    Nothing was committed. Do not retry: change the values of the fields that the message names.

    >>> error = ConstraintViolation("duplicate key", "notes_slug_uq_0c1e9f3a")
    >>> error.set_fields("notes", ("slug",), "another record of this tenant has the same slug")
    >>> print(error, error.fields)
    notes: another record of this tenant has the same slug (notes_slug_uq_0c1e9f3a) ('slug',)

    Attributes:
        constraint: name of the constraint or index in the database, if it reported one.
        table: table of the record; None if the constraint is not one that the class declares.
        fields: fields whose values were rejected: those of a unique key or a natural key, or the reference to
            a record that does not exist. Empty for other constraints.
        held_by: ref_id of the soft-deleted record that still has the values of the key; None if the record is
            not deleted.
    """

    _referred = False

    def __init__(
        self, message: str, constraint: str | None, *, step: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message, step=step, detail=detail)
        self.constraint = constraint
        self.table: str | None = None
        self.fields: tuple[str, ...] = ()
        self.held_by: str | None = None

    @classmethod
    def of_referred(cls, constraint: str | None, *, detail: str | None = None) -> ConstraintViolation:
        """Return the error of a delete that references of other records prevent."""
        message = f"other records still refer to this one ({constraint}); delete or change them first"
        error = cls(message, constraint, detail=detail)
        error._referred = True
        return error

    @property
    def is_dangling(self) -> bool:
        """Whether the record refers to a missing one, if the constraint is a reference."""
        return not self._referred

    def set_holder(self, table: str, fields: tuple[str, ...], ref_id: str) -> None:
        """Set `held_by` and `fields`, and say how to get the values back from a deleted record."""
        named = ", ".join(fields)
        self.set_fields(
            table,
            fields,
            f"the deleted record {ref_id} still has the same {named}; restore it with restore({ref_id!r}), "
            f"or give it another {named} with your own SQL (tx.connection)",
        )
        self.held_by = ref_id

    def set_fields(self, table: str, fields: tuple[str, ...], why: str) -> None:
        """Set `table` and `fields`, and replace the message with one that names them."""
        self.args = (f"{table}: {why} ({self.constraint})",)
        self.table, self.fields = table, fields


class Unreadable(StorekitError):
    """A stored record has a value that this version of its class cannot hold.

    Another version of the class or hand-written SQL wrote it. Reading the field raises this error; all other
    fields of the record can be read, and saving it does not change the field.

    If code of the class fails for the whole record, such as `model_post_init`, `field` is None and each field
    raises this error, except those that storekit sets. The call that returned the record has succeeded, so do
    not repeat it if it made a change. `history(ref_id)` has the stored values of columns.

    Do not retry: deploy the class that can hold the value, or write another value with `update` or SQL.

    >>> str(Unreadable("notes", "01JZ6N0E5V8Q4Y2T7R9WXBCDFG", "status", "'late' is not a valid Status"))
    "notes 01JZ6N0E5V8Q4Y2T7R9WXBCDFG: this class cannot hold the stored value of status ('late' is not ..."

    Attributes:
        table: table of the record.
        ref_id: ref_id of the record, a ULID.
        field: the field that cannot be read; None if no field of the class can be read.
        version: version of the record that was read or committed, if no field can be read, else None.
    """

    def __init__(
        self, table: str, ref_id: str, field: str | None, why: str, *, version: int | None = None
    ) -> None:
        if field is not None:
            message = (
                f"this class cannot hold the stored value of {field} ({why}); other fields can be read; "
                "correct the value"
            )
        else:
            message = (
                f"version {version} is committed, but code of the class failed for it ({why}), so its fields "
                "cannot be read; if the call made a change, do not repeat it; history() shows the stored "
                "values; correct the class, or correct the values with update()"
            )
        super().__init__(f"{table} {ref_id}: {message}")
        self.table = table
        self.ref_id = ref_id
        self.field = field
        self.version = version


class IdempotencyConflict(StorekitError):
    """The idempotency key was already used for a different request; nothing was changed.

    Do not retry with this key: use a new key for new content. A unit of work that is run again must plan the
    same operations; objects that were saved by the first run and changed since then make it another request.

    >>> str(IdempotencyConflict("order-17"))
    "idempotency key 'order-17' was used for a different request; use a new key for new content, or ..."

    Attributes:
        key: the idempotency key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"idempotency key {key!r} was used for a different request; use a new key for new content, or "
            "repeat the first request with new objects, or with the same ones if they have not changed"
        )
        self.key = key


class Corrupt(StorekitError):
    """The stored bytes are missing or differ from the bytes that were saved.

    Do not retry: the content is damaged in its store. Restore it from a backup or save new content.

    >>> error = Corrupt("reports/pdf/01JZ", expected="9 bytes", found="7 bytes")
    >>> str(error)
    'reports/pdf/01JZ: expected 9 bytes, found 7 bytes'

    Attributes:
        ref: the S3 key, or the name of the document or record.
        expected: what the ledger in Postgres recorded.
        found: what the store returned.
    """

    def __init__(self, ref: str, expected: str, found: str) -> None:
        super().__init__(f"{ref}: expected {expected}, found {found}")
        self.ref = ref
        self.expected = expected
        self.found = found
