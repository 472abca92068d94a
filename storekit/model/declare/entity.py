"""`Entity`, the base class of records, and its mixins `Mutable` and `SoftDelete`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from storekit import ids
from storekit.errors import NotLoaded, Unreadable, UsageError, ValidationError
from storekit.model.declare.aliases import server_names
from storekit.model.declare.annotations import table_of
from storekit.model.declare.stored import EntityMemory
from storekit.model.table.indexes import Index
from storekit.model.table.table import RESERVED, Scope, Table
from storekit.model.values.codec import encode_column

_KEYWORDS = ("scope", "line", "indexes", "natural_key")
LOADING = object()
"""Validation context that allows the fields that storekit sets, for loading and saving a record."""


class Entity(BaseModel):
    """Base class of records: a pydantic model whose fields are stored in Postgres, MongoDB and S3.

    A class without mixins is append-only: its records can be neither changed nor deleted. `Mutable` allows
    both. With `SoftDelete`, `delete` hides a record instead of removing it.

    Each object gets its `id` (for joins) and `ref_id` (for APIs and URLs) when it is created, so unsaved
    objects can refer to each other, and saving an object twice creates one record.

    >>> class Note(Entity, Mutable, table="notes", indexes=[index("-created_on")]):
    ...     title: str
    >>> note = Note(title="hello")
    >>> note.version is None, len(note.ref_id)
    (True, 26)

    Class keywords:
        table: name of the table, with its schema unless that is public. A class without a table is a base
            class for others, and its objects cannot be saved.
        scope: "tenant" (the default): a record belongs to one tenant; "global": every tenant reads it, and
            only an admin scope writes it; "self": the record is itself a tenant.
        line: line of shipped migrations that creates the table; None (the default) for your own migrations.
        indexes: `index(...)` and `unique(...)` of the class.
        natural_key: fields that identify a record, unique per tenant; `upsert` finds records by them.

    Raises:
        UsageError: when the class is defined, for a field or keyword that cannot be stored.
    """

    # Entity itself is never instantiated, and building its validators would take a third of the import time.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    storekit_table: ClassVar[Table]
    storekit_server_names: ClassVar[frozenset[str]] = frozenset(RESERVED)
    """Names and aliases of the fields that the caller may not set."""

    id: UUID = Field(default_factory=ids.new_id, init=False)
    ref_id: str = Field(default_factory=ids.new_ref_id, init=False)
    tenant_id: UUID | None = Field(default=None, init=False)
    version: int | None = Field(default=None, init=False)
    created_on: datetime | None = Field(default=None, init=False)
    created_by: str | None = Field(default=None, init=False)

    _memory: EntityMemory = PrivateAttr(default_factory=EntityMemory)

    def __init_subclass__(
        cls,
        *,
        table: str | None = None,
        scope: Scope = "tenant",
        line: str | None = None,
        indexes: Sequence[Index] = (),
        natural_key: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        # before pydantic reads the fields: it only warns about some of these names
        _refuse_own_names(cls, cls.__dict__.get("__annotations__", ()))  # noqa: RUF063 it evaluates them

    @classmethod
    def __pydantic_init_subclass__(cls, *, table: str | None = None, **kwargs: Any) -> None:
        declared = {name: kwargs.pop(name) for name in _KEYWORDS if name in kwargs}
        super().__pydantic_init_subclass__(**kwargs)
        _refuse_own_names(cls, cls.model_fields)
        cls.storekit_server_names = server_names(cls)
        if table is None:
            _refuse_lost_fields(cls, declared)
            return
        _refuse_server_fields(cls)
        mutable, soft = issubclass(cls, Mutable), issubclass(cls, SoftDelete)
        cls.storekit_table = table_of(
            cls.__name__, table, cls.model_fields, mutable=mutable, soft_delete=soft, **declared
        )
        _check_defaults(cls)
        cls.model_rebuild(raise_errors=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_server_values(cls, values: Any, info: Any) -> Any:
        refused = cls.storekit_server_names
        if info.context is not LOADING and isinstance(values, dict) and not refused.isdisjoint(values):
            names = ", ".join(sorted(refused.intersection(values)))
            raise ValueError(f"{names}: set by storekit, not by the caller")
        return values

    @classmethod
    def plan(cls) -> str:
        """Return a text that shows the store of each field and the round trips of a save; needs no server.

        >>> class Note(Entity, table="notes"):
        ...     title: str
        >>> print(Note.plan().splitlines()[0])
        Note -> notes
        """
        from storekit.model.declare.describe import describe

        return describe(cls.__name__, cls.storekit_table)

    if not TYPE_CHECKING:  # if type checkers saw __getattr__, they would accept every misspelled field

        def __getattr__(self, name: str) -> Any:
            table = getattr(type(self), "storekit_table", None)
            memory = (object.__getattribute__(self, "__pydantic_private__") or {}).get("_memory")
            if table is not None and memory is not None and name in memory.unreadable:
                raise Unreadable(table.name, self.ref_id, name, memory.unreadable[name])
            if table is not None and name in table.parts:
                raise NotLoaded(f"{type(self).__name__}.{name}", f'load it with get(ref_id, load=["{name}"])')
            return super().__getattr__(name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in RESERVED:
                raise UsageError(f"{type(self).__name__}.{name} is set by storekit, not by the caller")
            if name in type(self).model_fields and not self.model_config.get("frozen"):
                # pydantic validates the whole object again, including fields that storekit sets, so the
                # context allows them
                self.__pydantic_validator__.validate_assignment(self, name, value, context=LOADING)
            else:
                super().__setattr__(name, value)

    def __repr_args__(self) -> Any:
        # a document that is not loaded has no value: repr must not raise NotLoaded, so it shows a placeholder
        facts = dict(super().__repr_args__())
        own = [name for name in facts if name not in RESERVED]
        yield from (
            (name, facts[name]) for name in dict.fromkeys(("id", "ref_id", *own, *facts)) if name in facts
        )
        table = getattr(type(self), "storekit_table", None)
        unreadable = self._memory.unreadable if table else {}
        yield from ((name, _UNREADABLE) for name in unreadable)
        for name in table.parts if table else ():
            if name not in self.__dict__ and name not in unreadable:
                yield name, _NOT_LOADED


def require_table(entity: type[Entity]) -> Table:
    """Return the table of a class.

    Raises:
        UsageError: the class has no table.
    """
    table = getattr(entity, "storekit_table", None)
    if not isinstance(table, Table):
        raise UsageError(f'{entity!r} has no table: declare class Name(Entity, table="names")')
    return table


class _Placeholder(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


_NOT_LOADED, _UNREADABLE = _Placeholder("<not loaded>"), _Placeholder("<unreadable>")


class _Columns(BaseModel):
    """Base class of `Mutable` and `SoftDelete`, which declare columns but no table."""

    model_config = ConfigDict(defer_build=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "table" in kwargs and not issubclass(cls, Entity):
            raise UsageError(
                f"{cls.__name__} is not an Entity: write class {cls.__name__}(Entity, ..., table=...)"
            )
        super().__init_subclass__(**kwargs)


class Mutable(_Columns):
    """Mixin for records that can be changed and deleted; adds `updated_on` and `updated_by`.

    Saving a changed object increments the `version` of the record, and raises Conflict if another writer
    saved first.

    >>> class Task(Entity, Mutable, table="tasks"):
    ...     title: str
    >>> Task(title="call back").updated_on is None
    True
    """

    updated_on: datetime | None = Field(default=None, init=False)
    updated_by: str | None = Field(default=None, init=False)


class SoftDelete(_Columns):
    """Mixin for records that `delete` hides but keeps; adds `deleted_on` and `deleted_by`.

    Reads skip hidden records; `find(deleted=True)` includes them.

    >>> class Task(Entity, Mutable, SoftDelete, table="tasks"):
    ...     title: str
    >>> Task(title="call back").deleted_on is None
    True
    """

    deleted_on: datetime | None = Field(default=None, init=False)
    deleted_by: str | None = Field(default=None, init=False)


def _refuse_own_names(cls: type[BaseModel], names: Iterable[str]) -> None:
    """Raise UsageError for a field that would hide an attribute of Entity."""
    for name in names:
        if not name.startswith("__") and name != "model_config" and hasattr(Entity, name):
            raise UsageError(
                f"{cls.__name__}.{name}: Entity has an attribute of this name; choose another name"
            )


def _refuse_lost_fields(cls: type[Entity], declared: Iterable[str]) -> None:
    """Raise UsageError for fields and keywords that a class without a table of its own would not store."""
    for keyword in declared:
        raise UsageError(
            f'{cls.__name__}: {keyword}= needs a table: write class {cls.__name__}(..., table="...")'
        )
    parent = next((base for base in cls.__mro__[1:] if "storekit_table" in base.__dict__), None)
    if parent is not None:
        table = require_table(parent)
        lost = cls.model_fields.keys() - {*table.base, *table.columns, *table.parts}
        if lost:
            raise UsageError(
                f"{cls.__name__} adds fields to {parent.__name__}: {', '.join(sorted(lost))}; "
                f'give it a table of its own: class {cls.__name__}({parent.__name__}, table="...")'
            )


def _refuse_server_fields(cls: type[Entity]) -> None:
    """Raise UsageError for a field with the name of one that storekit sets."""
    mixins = [base for base in (Entity, Mutable, SoftDelete) if issubclass(cls, base)]
    ours = {name: info for base in mixins for name, info in base.model_fields.items()}
    for name in RESERVED.intersection(cls.model_fields):
        info = cls.model_fields[name]
        if name not in ours or (info.init, info.annotation) != (False, ours[name].annotation):
            raise UsageError(
                f"{cls.__name__}.{name}: storekit sets a field of this name; choose another name"
            )


def _check_defaults(cls: type[Entity]) -> None:
    """Raise UsageError for a default that cannot be stored."""
    for name, column in cls.storekit_table.columns.items():
        info = cls.model_fields[name]
        checked_later = info.validate_default or cls.model_config.get("validate_default")
        if info.is_required() or info.default_factory is not None or info.default is None or checked_later:
            continue
        try:
            encode_column(column, info.default, f"{cls.__name__}.{name}")
        except ValidationError as error:
            raise UsageError(f"the default cannot be stored: {error}") from error
