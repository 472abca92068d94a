"""`Entity`, the base class of records, and its mixins `Mutable` and `SoftDelete`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, PrivateAttr, model_validator
from pydantic_core import CoreSchema

from storekit import ids
from storekit.errors import UsageError
from storekit.model.declare.absent import raise_absent, shown
from storekit.model.declare.aliases import server_names
from storekit.model.declare.annotations import table_of
from storekit.model.declare.class_rules import (
    check_config,
    check_defaults,
    check_enum_values,
    check_parameters,
)
from storekit.model.declare.entity_class import EntityClass
from storekit.model.declare.inputs import refused_names, without
from storekit.model.declare.stored import EntityMemory
from storekit.model.declare.validators import LOADING, assign, current_run, guarded
from storekit.model.table.indexes import Index
from storekit.model.table.table import RESERVED, Scope, Table

_KEYWORDS = ("scope", "line", "indexes", "natural_key", "reason_required")


class Entity(BaseModel, metaclass=EntityClass):
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
        reason_required: whether each change needs `reason=`. Postgres refuses a change without a reason too.

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
    if TYPE_CHECKING:  # None until the first save; a record that a repository returns has all of them
        tenant_id: UUID = Field(init=False)
        version: int = Field(init=False)
        created_on: datetime = Field(init=False)
        created_by: str = Field(init=False)
    else:
        tenant_id: UUID | None = Field(default=None, init=False)
        version: int | None = Field(default=None, init=False)
        created_on: datetime | None = Field(default=None, init=False)
        created_by: str | None = Field(default=None, init=False)

    _memory: EntityMemory = PrivateAttr(default_factory=lambda: EntityMemory(made_in=current_run()))

    def __init_subclass__(
        cls,
        *,
        table: str | None = None,
        scope: Scope = "tenant",
        line: str | None = None,
        indexes: Sequence[Index] = (),
        natural_key: Sequence[str] = (),
        reason_required: bool = False,
        **kwargs: Any,
    ) -> None:
        _refuse_unknown_keywords(cls, kwargs)
        super().__init_subclass__(**kwargs)
        # before pydantic reads the fields: it only warns about some of these names
        _refuse_own_names(cls, cls.__dict__.get("__annotations__", ()))  # noqa: RUF063 it evaluates them

    @classmethod
    def __pydantic_init_subclass__(cls, *, table: str | None = None, **kwargs: Any) -> None:
        declared = {name: kwargs.pop(name) for name in _KEYWORDS if name in kwargs}
        super().__pydantic_init_subclass__(**kwargs)
        _refuse_own_names(cls, cls.model_fields)
        check_config(cls)
        cls.storekit_server_names = server_names(cls)
        if table is None:
            _refuse_lost_fields(cls, declared)
            return
        _refuse_server_fields(cls)
        check_parameters(cls)
        mutable, soft = issubclass(cls, Mutable), issubclass(cls, SoftDelete)
        cls.storekit_table = table_of(
            cls.__name__, table, cls.model_fields, mutable=mutable, soft_delete=soft, **declared
        )
        check_enum_values(cls, cls.storekit_table)
        check_defaults(cls, cls.storekit_table)
        cls.model_rebuild(raise_errors=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_server_values(cls, values: Any, info: Any) -> Any:
        if info.context is LOADING:
            return values
        if names := refused_names(values, cls.storekit_server_names):
            raise ValueError(f"{', '.join(names)}: set by storekit, not by the caller")
        return without(values, cls.storekit_server_names)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return guarded(cls, handler(source))

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
            raise_absent(self, name)
            return super().__getattr__(name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in RESERVED:
                raise UsageError(f"{type(self).__name__}.{name} is set by storekit, not by the caller")
            if name in type(self).model_fields and not self.model_config.get("frozen"):
                assign(self, name, value)
            else:
                super().__setattr__(name, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy that stands for the same record: saving the copy writes to that record.

        >>> class Note(Entity, Mutable, table="notes"):
        ...     title: str
        >>> note = Note(title="hello")
        >>> note.model_copy(update={"title": "bye"}).ref_id == note.ref_id
        True

        Args:
            update: values of fields in the copy, which are not validated before the save.
            deep: copy nested models, lists and dicts too; the content of a Blob is never copied.

        Raises:
            UsageError: `update` has an unknown field, or one that storekit sets.
        """
        if unknown := (update or {}).keys() - (type(self).model_fields.keys() - RESERVED):
            raise UsageError(
                f"{type(self).__name__}: model_copy() cannot set {', '.join(sorted(unknown))}; "
                "to save a new record, create a new object"
            )
        return super().model_copy(update=update, deep=deep)

    def __copy__(self) -> Self:
        made = super().__copy__()
        if made.__pydantic_private__ is not None:  # a save of one object must not change the other
            made.__pydantic_private__["_memory"] = self._memory.copy()
        return made

    def __repr_args__(self) -> Any:
        yield from shown(self, super().__repr_args__)


def require_table(entity: type[Entity]) -> Table:
    """Return the table of a class.

    Raises:
        UsageError: it is not a class, or has no table.
    """
    if isinstance(entity, Entity):
        name = type(entity).__name__
        raise UsageError(f"a record was given in place of its class; pass {name}, as in repository({name})")
    table = getattr(entity, "storekit_table", None)
    if not isinstance(table, Table):
        raise UsageError(f'{entity!r} has no table: declare class Name(Entity, table="names")')
    return table


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


def _refuse_unknown_keywords(cls: type[Entity], given: Iterable[str]) -> None:
    """Raise UsageError for class keywords that neither storekit, pydantic nor a base of the user takes."""
    own = (Entity, _Columns, BaseModel, object)
    takes_more = any("__init_subclass__" in base.__dict__ for base in cls.__mro__[1:] if base not in own)
    for name in () if takes_more else given:
        near = get_close_matches(name, ("table", *_KEYWORDS), 1)
        hint = f"did you mean {near[0]}?" if near else f"the keywords are table, {', '.join(_KEYWORDS)}"
        raise UsageError(f"{cls.__name__}: {name} is not a class keyword or a setting of pydantic; {hint}")


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
