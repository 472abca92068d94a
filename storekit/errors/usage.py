"""Errors caused by the caller: a wrong call, configuration or value."""

from __future__ import annotations

from storekit.errors.base import StorekitError


class UsageError(StorekitError):
    """The call or the declaration is wrong; nothing was sent to any store.

    Do not retry: fix the code. The message states the mistake and the correction.

    >>> references("notes", on_delete="ignore")
    Traceback (most recent call last):
        ...
    storekit.errors.UsageError: references(on_delete='ignore'): on_delete must be one of restrict, ...
    """


class TenantRequired(UsageError):
    """No tenant was given, or the value is not the UUID of a tenant; nothing was sent to any store.

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

    >>> error = NotLoaded("Report.body", 'load it with get(ref_id, load=["body"])')
    >>> print(error, "|", error.entity, error.field)
    Report.body is not loaded; load it with get(ref_id, load=["body"]) | Report body

    Attributes:
        entity: name of the class.
        field: name of the field, as in "body".
        remedy: the call that loads it.
    """

    def __init__(self, where: str, remedy: str) -> None:
        super().__init__(f"{where} is not loaded; {remedy}")
        self.entity, self.field = split(where)
        self.remedy = remedy


class ConfigurationError(StorekitError):
    """A setting, a server or a database schema is wrong or missing.

    Do not retry: do what the message says, for example run the migrations.

    >>> from storekit import Settings, Store
    >>> with Store.open(Settings()) as store:
    ...     store.migrate()
    Traceback (most recent call last):
        ...
    storekit.errors.ConfigurationError: POSTGRES_ADMIN_URL is not set; ...
    """


class ValidationError(StorekitError):
    """A value cannot be stored; nothing was sent to any store.

    Do not retry: pass another value.

    >>> from uuid import uuid4
    >>> from storekit.testing import memory_store
    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> with memory_store(Note) as store:
    ...     notes = store.scope(tenant=uuid4(), actor="ada").repository(Note)
    ...     notes.save(Note(title="a\\0b"))
    Traceback (most recent call last):
        ...
    storekit.errors.ValidationError: Note.title: it contains U+0000, which Postgres cannot store

    Attributes:
        entity: name of the class; None if the value does not belong to a record.
        field: name of the field, as in "title", with the place inside its value if it has one, as in
            "payload.hits" or "tags[2]". Or the name of the argument. None if neither applies.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        entity: str | None = None,
        step: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Create the error.

        `field` is a class and its field, as in "Note.title", or an argument. `entity` is the class alone, if
        the whole record is refused.
        """
        where = field or entity
        super().__init__(f"{where}: {message}" if where else message, step=step, detail=detail)
        self.entity, self.field = split(field) if field else (entity, None)


def split(where: str) -> tuple[str | None, str | None]:
    """Split "Note.title" into the class and the field; the name of an argument has no class.

    >>> split("Note.payload.hits"), split("limit")
    (('Note', 'payload.hits'), (None, 'limit'))
    """
    entity, dot, field = where.partition(".")
    return (entity, field) if dot else (None, entity)
