"""`Entity`: the class that users derive their records from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from storekit import ids
from storekit.errors import NotLoaded, UsageError
from storekit.model.blob import Blob
from storekit.model.table import RESERVED, Table, table_of

Scope = Literal["tenant"]
LOADING = object()
"""The validation context in which the fields that storekit sets may be set."""


@dataclass(slots=True, eq=False)
class Stored:
    """What the database holds of an entity, as this object last saw it."""

    tenant: UUID
    columns: dict[str, Any]
    """Encoded column values: what differs from them is written."""
    parts: dict[str, StoredPart]
    """Parts by field; a field without one is empty."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What the ledger says of a committed part."""

    part_id: UUID
    key: str
    version_id: str | None
    size: int
    sha256: str
    media_type: str | None
    filename: str | None
    expires_on: datetime | None
    expired: bool
    state: str = "committed"
    write_id: UUID | None = None


@dataclass(slots=True, eq=False)
class Memory:
    """What an entity remembers beside its fields."""

    stored: Stored | None = None
    undecided: tuple[UUID, UUID] | None = None
    """Tenant and id of a former write of this object whose outcome is open."""
    digests: dict[str, bytes] = field(default_factory=dict)
    """Hashes of the documents as this object held them when they were loaded or saved."""
    blobs: dict[str, Blob] = field(default_factory=dict)
    """The very objects that were loaded or saved: another object in the field is a change."""
    expired: frozenset[str] = frozenset()
    """Documents of which the ledger keeps no more than that they expired."""


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

    id: UUID = Field(default_factory=ids.new_id, init=False)
    ref_id: str = Field(default_factory=ids.new_ref_id, init=False)
    tenant_id: UUID | None = Field(default=None, init=False)
    version: int | None = Field(default=None, init=False)
    created_on: datetime | None = Field(default=None, init=False)
    created_by: str | None = Field(default=None, init=False)

    _memory: Memory = PrivateAttr(default_factory=Memory)

    def __init_subclass__(
        cls, *, table: str | None = None, scope: Scope = "tenant", line: str | None = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, table: str | None = None, scope: Scope = "tenant", line: str | None = None, **kwargs: Any
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if table is None:
            return
        if scope != "tenant":
            raise UsageError(f'{cls.__name__}: scope is "tenant", not {scope!r}')
        flags = {"mutable": issubclass(cls, Mutable), "soft_delete": issubclass(cls, SoftDelete)}
        cls.storekit_table = table_of(cls.__name__, table, cls.model_fields, **flags, line=line)
        cls.model_rebuild(raise_errors=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_server_fields(cls, values: Any, info: Any) -> Any:
        if info.context is not LOADING and isinstance(values, dict) and not RESERVED.isdisjoint(values):
            names = ", ".join(sorted(RESERVED.intersection(values)))
            raise ValueError(f"{names}: set by storekit, not by the caller")
        return values

    @classmethod
    def plan(cls) -> str:
        """Tell, without servers, where each field goes and what trips a save costs."""
        from storekit.model.describe import describe

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
            if name in type(self).model_fields:
                self.__pydantic_validator__.validate_assignment(self, name, value, context=LOADING)
            else:
                super().__setattr__(name, value)

    def __repr_args__(self) -> Any:
        yield from super().__repr_args__()
        for name in self.storekit_table.parts:
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


def memory_of(entity: Entity) -> Memory:
    """Reach what an entity remembers, without a name that a user's field could take."""
    return entity._memory


class _NotLoadedText:
    def __repr__(self) -> str:
        return "<not loaded>"


_NOT_LOADED = _NotLoadedText()


class Mutable(BaseModel):
    """Columns of a record that may change."""

    model_config = ConfigDict(defer_build=True)

    updated_on: datetime | None = Field(default=None, init=False)
    updated_by: str | None = Field(default=None, init=False)


class SoftDelete(BaseModel):
    """Columns of a record that is hidden, not removed, when it is deleted."""

    model_config = ConfigDict(defer_build=True)

    deleted_on: datetime | None = Field(default=None, init=False)
    deleted_by: str | None = Field(default=None, init=False)
