"""`Entity`: the class that users derive their records from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from storekit import ids
from storekit.errors import NotLoaded, UsageError, ValidationError
from storekit.model.declare.aliases import server_names
from storekit.model.declare.read import table_of
from storekit.model.declare.stored import Memory
from storekit.model.table.indexes import Index
from storekit.model.table.table import RESERVED, Scope, Table
from storekit.model.values.codec import encode_column

_KEYWORDS = ("scope", "line", "indexes", "natural_key")
LOADING = object()
"""The validation context in which the fields that storekit sets may be set."""


class Entity(BaseModel):
    """A record. Alone it is append-only; `Mutable` and `SoftDelete` add what their names say.

    `id` (for joins) and `ref_id` (for APIs and URLs) are minted here, so unsaved entities can refer to each
    other and saving one object twice cannot make two records.

    >>> class Note(Entity, table="notes"):
    ...     title: str
    >>> Note(title="hello").version is None
    True
    """

    # bases are never made on their own: building their validators would be a third of the import time
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    storekit_table: ClassVar[Table]
    storekit_server_names: ClassVar[frozenset[str]] = frozenset(RESERVED)
    """What the caller may not set, by field name and alias."""

    id: UUID = Field(default_factory=ids.new_id, init=False)
    ref_id: str = Field(default_factory=ids.new_ref_id, init=False)
    tenant_id: UUID | None = Field(default=None, init=False)
    version: int | None = Field(default=None, init=False)
    created_on: datetime | None = Field(default=None, init=False)
    created_by: str | None = Field(default=None, init=False)

    _memory: Memory = PrivateAttr(default_factory=Memory)

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
        # before pydantic looks at them, which only warns of some
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
        """Tell, without servers, where each field goes and what trips a save costs."""
        from storekit.model.declare.describe import describe

        return describe(cls.__name__, cls.storekit_table)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            table = getattr(type(self), "storekit_table", None)
            if table is not None and name in table.parts:
                remedy = f'get(ref_id, load=["{name}"]) loads it'
                raise NotLoaded(f"{type(self).__name__}.{name}", remedy)
            return super().__getattr__(name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in RESERVED:
                raise UsageError(f"{type(self).__name__}.{name} is set by storekit, not by the caller")
            if name in type(self).model_fields and not self.model_config.get("frozen"):
                self.__pydantic_validator__.validate_assignment(self, name, value, context=LOADING)
            else:
                super().__setattr__(name, value)

    def __repr_args__(self) -> Any:
        facts = dict(super().__repr_args__())
        own = [name for name in facts if name not in RESERVED]
        yield from (
            (name, facts[name]) for name in dict.fromkeys(("id", "ref_id", *own, *facts)) if name in facts
        )
        table = getattr(type(self), "storekit_table", None)
        for name in table.parts if table else ():
            if name not in self.__dict__:
                yield name, _NOT_LOADED


def require_table(entity: type[Entity]) -> Table:
    """Find where a class's records live.

    Raises:
        UsageError: the class names no table.
    """
    table = getattr(entity, "storekit_table", None)
    if not isinstance(table, Table):
        raise UsageError(f'{entity!r} has no table: declare class Name(Entity, table="names")')
    return table


class _NotLoadedText:
    def __repr__(self) -> str:
        return "<not loaded>"


_NOT_LOADED = _NotLoadedText()


class _Columns(BaseModel):
    """What `Mutable` and `SoftDelete` share: alone they are no record."""

    model_config = ConfigDict(defer_build=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "table" in kwargs and not issubclass(cls, Entity):
            raise UsageError(f"{cls.__name__} is no Entity: class {cls.__name__}(Entity, ..., table=...)")
        super().__init_subclass__(**kwargs)


class Mutable(_Columns):
    """Columns of a record that may change."""

    updated_on: datetime | None = Field(default=None, init=False)
    updated_by: str | None = Field(default=None, init=False)


class SoftDelete(_Columns):
    """Columns of a record that is hidden, not removed, when it is deleted."""

    deleted_on: datetime | None = Field(default=None, init=False)
    deleted_by: str | None = Field(default=None, init=False)


def _refuse_own_names(cls: type[BaseModel], names: Iterable[str]) -> None:
    """Refuse a field that would hide what every entity has."""
    for name in names:
        if not name.startswith("__") and name != "model_config" and hasattr(Entity, name):
            raise UsageError(f"{cls.__name__}.{name}: the name is Entity's own; choose another")


def _refuse_lost_fields(cls: type[Entity], declared: Iterable[str]) -> None:
    """Refuse what a class without a table of its own would lose: fields beyond its parent's, and keywords."""
    for keyword in declared:
        raise UsageError(
            f'{cls.__name__}: {keyword}= goes with a table: class {cls.__name__}(..., table="...")'
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
    """Refuse a field called as one that storekit sets."""
    mixins = [base for base in (Entity, Mutable, SoftDelete) if issubclass(cls, base)]
    ours = {name: info for base in mixins for name, info in base.model_fields.items()}
    for name in RESERVED.intersection(cls.model_fields):
        info = cls.model_fields[name]
        if name not in ours or (info.init, info.annotation) != (False, ours[name].annotation):
            raise UsageError(
                f"{cls.__name__}.{name}: storekit keeps its own value there; choose another name"
            )


def _check_defaults(cls: type[Entity]) -> None:
    """Refuse a default that no save could store."""
    for name, column in cls.storekit_table.columns.items():
        info = cls.model_fields[name]
        checked_later = info.validate_default or cls.model_config.get("validate_default")
        if info.is_required() or info.default_factory is not None or info.default is None or checked_later:
            continue
        try:
            encode_column(column, info.default, f"{cls.__name__}.{name}")
        except ValidationError as error:
            raise UsageError(f"its default cannot be stored: {error}") from error
