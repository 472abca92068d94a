"""Read the declaration of a class: which fields are columns, which are parts."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ForwardRef, Union, cast, get_args, get_origin
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    FutureDate,
    FutureDatetime,
    PastDate,
    PastDatetime,
    TypeAdapter,
)

from storekit.errors import UsageError
from storekit.model.declare.name_rules import check_field, check_name, check_table
from storekit.model.declare.rules import check_scope, keys_of, lookup_of, machine_of
from storekit.model.declare.value_types import check_value_type, is_object
from storekit.model.table.fields import (
    BlobMark,
    DocumentMark,
    Expired,
    LookupMark,
    Mark,
    MovesMark,
    ReferenceMark,
    blob,
    document,
    lookup,
    moves,
    references,
)
from storekit.model.table.indexes import Index
from storekit.model.table.table import (
    BASE,
    MUTABLE,
    RESERVED,
    SOFT_DELETE,
    Column,
    Part,
    Reference,
    Scope,
    Table,
)
from storekit.model.values.blob import Blob

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_SCALARS: Mapping[Any, str] = {
    str: "text",
    int: "bigint",
    float: "double precision",
    Decimal: "numeric",
    bool: "boolean",
    UUID: "uuid",
    datetime: "timestamptz",
    AwareDatetime: "timestamptz",
    PastDatetime: "timestamptz",
    FutureDatetime: "timestamptz",
    date: "date",
    PastDate: "date",
    FutureDate: "date",
}
_ARRAYS: Mapping[Any, str] = {str: "text[]", int: "bigint[]", float: "double precision[]"}
_MARKS = (BlobMark, DocumentMark, ReferenceMark, MovesMark, LookupMark)
_CALLS = (blob, document, references, moves, lookup)
_LONGEST_TTL = timedelta(days=365_000)
_MAX_SQL_NAME = 63
"""Bytes that Postgres allows for a name and for an enum label."""


def table_of(
    owner: str,
    name: str,
    fields: Mapping[str, FieldInfo],
    *,
    mutable: bool,
    soft_delete: bool,
    line: str | None = None,
    scope: Scope = "tenant",
    indexes: Sequence[Index] = (),
    natural_key: Sequence[str] = (),
    reason_required: bool = False,
) -> Table:
    """Return the table that a class declares.

    Args:
        owner: name of the class, for messages.
        name: name of the table.
        fields: fields of the pydantic model.

    Raises:
        UsageError: a field or keyword cannot be stored; the message names the field or keyword and says what
            to write instead.
    """
    check_table(owner, name)
    columns, parts, marks = _fields_of(owner, name, fields, scope)
    _check_parts(owner, columns, parts)
    # first without keys: state machine, look-up and indexes are checked against the columns of the table
    base = {**BASE, **(MUTABLE if mutable else {}), **(SOFT_DELETE if soft_delete else {})}
    if not isinstance(reason_required, bool):
        raise UsageError(f"{owner}: reason_required={reason_required!r} must be a bool")
    table = Table(name, base, columns, parts, mutable, soft_delete, line, scope)
    table = replace(table, reason_required=reason_required)
    machine, found_by = machine_of(owner, table, fields, marks), lookup_of(owner, table, marks)
    table = replace(table, machine=machine, lookup=found_by, **keys_of(owner, table, indexes, natural_key))
    check_scope(owner, table)
    return table


def _fields_of(
    owner: str, name: str, fields: Mapping[str, FieldInfo], scope: Scope
) -> tuple[dict[str, Column], dict[str, Part], dict[str, Mark]]:
    """Return the columns, the parts and the marks of a class, by field."""
    columns: dict[str, Column] = {}
    parts: dict[str, Part] = {}
    marks: dict[str, Mark] = {}
    for field, info in fields.items():
        if field in RESERVED:
            continue
        where = f"{owner}.{field}"
        check_field(where, field)
        mark = _mark(where, info)
        options, nullable = _options(info.annotation)
        if isinstance(mark, BlobMark):
            parts[field] = _blob(where, field, mark, options, nullable)
        elif isinstance(mark, DocumentMark):
            free = all(note is mark for note in info.metadata) and all(
                option is Expired or _is_free(option) for option in options
            )
            parts[field] = replace(_document(where, field, mark, options, nullable), free=free)
        else:
            column = _column(where, name, field, options, nullable)
            if isinstance(mark, ReferenceMark):
                _check_reference(where, mark, column)
                column = replace(column, reference=_resolved(mark, name, scope))
            columns[field] = column
        if mark is not None:
            marks[field] = mark
    return columns, parts, marks


def _mark(where: str, info: FieldInfo) -> Mark | None:
    """Return the mark of a field, which may be on the whole type or on a member of its union."""
    members, notes = _flat(info.annotation)
    metadata = [*info.metadata, *notes]
    bare = next((call.__name__ for call in _CALLS if any(note is call for note in metadata)), None)
    if bare is not None:
        raise UsageError(f"{where}: {bare} must be called: Annotated[..., {bare}(...)]")
    calls = ", ".join(f"{call.__name__}()" for call in _CALLS)
    marks = [note for note in metadata if isinstance(note, _MARKS)]
    if len(marks) > 1:
        raise UsageError(f"{where}: a field takes at most one of {calls}")
    if any(isinstance(note, _MARKS) for member in members for note in _notes_within(member)):
        raise UsageError(
            f"{where}: {calls} apply to the whole field, as in "
            "Annotated[UUID | None, references(...)], not to a type inside it"
        )
    return marks[0] if marks else None


def _flat(annotation: Any) -> tuple[list[Any], list[Any]]:
    """Return the members of a union, however nested, and the metadata of the union and its members."""
    inner, *notes = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if get_origin(inner) not in (Union, types.UnionType):
        return [inner], notes
    members: list[Any] = []
    for option in get_args(inner):
        found, more = _flat(option)
        members += found
        notes += more
    return members, notes


def _notes_within(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from annotation.__metadata__
    for inner in get_args(annotation):
        yield from _notes_within(inner)


def _options(annotation: Any) -> tuple[list[Any], bool]:
    """Return the members of a union without None, and whether None is one."""
    members, _ = _flat(annotation)
    return [m for m in members if m is not type(None)], type(None) in members


def _blob(where: str, field: str, mark: BlobMark, options: list[Any], nullable: bool) -> Part:
    if options != [Blob]:
        raise UsageError(f"{where}: the type of a blob field must be Blob or Blob | None")
    return Part(field, "blob", nullable, media_type=mark.media_type)


def _document(where: str, field: str, mark: DocumentMark, options: list[Any], nullable: bool) -> Part:
    bodies = [option for option in options if option is not Expired]
    if not bodies or not all(_is_object(body) and is_object(body) for body in bodies):
        raise UsageError(
            f"{where}: the type of a document field must be a pydantic model or a dict[str, ...]"
        )
    if (mark.ttl is not None) != (Expired in options):
        wants = (
            "add Expired to its type, as it has a ttl"
            if mark.ttl
            else "remove Expired from its type, as it has no ttl"
        )
        raise UsageError(f"{where}: {wants}")
    if mark.ttl is not None and mark.ttl <= timedelta(0):
        raise UsageError(f"{where}: the ttl is {mark.ttl}; it must be positive")
    if mark.ttl is not None and mark.ttl > _LONGEST_TTL:  # the expiry must be before the year 10000
        raise UsageError(f"{where}: the ttl is {mark.ttl.days:,} days; the limit is {_LONGEST_TTL.days:,}")
    for body in bodies:
        check_value_type(where, body)
    check_name(f"{where}: collection", mark.collection)
    return Part(field, "document", nullable, None, mark.collection, mark.ttl, mark.links)


def _is_object(kind: Any) -> bool:
    if get_origin(kind) is dict or kind is dict:
        return True
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_free(kind: Any) -> bool:
    """Return whether a type says nothing about the values of a dict."""
    return kind is dict or (get_origin(kind) is dict and get_args(kind) == (str, Any))


def _column(where: str, table: str, field: str, options: list[Any], nullable: bool) -> Column:
    kind = options[0] if len(options) == 1 else None
    # pydantic leaves a name unresolved if it is not in the module's namespace when the class is defined
    if isinstance(kind, ForwardRef | str):
        name = kind if isinstance(kind, str) else kind.__forward_arg__
        raise UsageError(f"{where}: {name} cannot be resolved; define it at module level, before the class")
    if kind is Blob:
        raise UsageError(f"{where}: a Blob is stored in S3: write Annotated[Blob, blob(media_type=...)]")
    if isinstance(kind, type) and issubclass(kind, StrEnum):  # before str, of which StrEnum is a subclass
        return Column(field, _enum_type(where, f"{table}_{field}", kind), nullable, enum=kind)
    if get_origin(kind) is list and get_args(kind)[0] in _ARRAYS:
        return Column(field, _ARRAYS[get_args(kind)[0]], nullable)
    if kind is not None and get_origin(kind) is None and not isinstance(kind, type(Any)) and kind in _SCALARS:
        return Column(field, _SCALARS[kind], nullable)
    if _is_object(kind):
        check_value_type(where, kind)
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", kind))
        return Column(field, "jsonb", nullable, adapter=adapter, free=_is_free(kind))
    known = "str int float Decimal bool UUID datetime date StrEnum list[str|int|float] dict BaseModel"
    raise UsageError(
        f"{where}: {kind or options} cannot be a column; use one of {known}, each optionally with | None"
    )


def _check_reference(where: str, mark: ReferenceMark, column: Column) -> None:
    if column.sql != "uuid":
        raise UsageError(
            f"{where}: the type of a reference must be UUID or UUID | None; it contains the target's id"
        )
    for piece in mark.target.split(".") if isinstance(mark.target, str) else ():
        check_name(f"{where}: references", piece)
    if mark.on_delete == "set null" and not column.nullable:
        raise UsageError(f'{where}: on_delete="set null" needs the type UUID | None')


def _resolved(mark: ReferenceMark, table: str, scope: Scope) -> Reference:
    """Resolve the target of a reference: the class itself ("self"), another class, or a table's name."""
    if not isinstance(mark.target, str):
        target = mark.target.storekit_table
        return Reference(target.name, target.scope, target, mark.on_delete)
    if mark.target in ("self", table):
        return Reference(table, scope, None, mark.on_delete)
    return Reference(mark.target, "tenant", None, mark.on_delete)


def _enum_type(where: str, name: str, kind: type[StrEnum]) -> str:
    """Return the name of the SQL type of a StrEnum column.

    Raises:
        UsageError: Postgres cannot create the type, because its name or a label is too long.
    """
    own = name.rpartition(".")[2]
    if len(own) > _MAX_SQL_NAME:
        raise UsageError(
            f"{where}: its SQL type {own} has a name of {len(own)} characters; the limit is {_MAX_SQL_NAME}"
        )
    for member in kind:
        size = len(member.value.encode(errors="surrogatepass"))
        if size > _MAX_SQL_NAME or "\0" in member.value:
            raise UsageError(
                f"{where}: {member!r} has {size} bytes; the limit is {_MAX_SQL_NAME}, without U+0000"
            )
    return name


def _check_parts(owner: str, columns: Mapping[str, Column], parts: Mapping[str, Part]) -> None:
    for part in parts.values():
        for taken in (f"{part.name}_ref", f"{part.name}_expired_on"):
            if taken in columns:
                raise UsageError(
                    f"{owner}.{taken}: storekit uses this name for a column of {part.name}; use another name"
                )
        for link in part.links:
            if link not in parts or parts[link].kind != "blob":
                raise UsageError(f"{owner}.{part.name}: links={link!r} is not a blob field of this class")
