"""What a class declares beyond its fields, checked against them: keys, the moves of its state, its scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypedDict, get_args

from storekit.errors import UsageError, ValidationError
from storekit.model.table.fields import LookupMark, Mark, MovesMark
from storekit.model.table.indexes import Index, not_null
from storekit.model.table.table import Column, Machine, Scope, Table
from storekit.model.values.codec import encode_column

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


_MOST_STATES = 32


class Keys(TypedDict):
    """What `keys_of` finds, as fields of a `Table`."""

    indexes: tuple[Index, ...]
    natural_key: tuple[str, ...]


def keys_of(owner: str, table: Table, indexes: Sequence[Index], natural_key: Sequence[str]) -> Keys:
    """Check what the class keywords `indexes` and `natural_key` say.

    Raises:
        UsageError: a column that is none or cannot be in an index, or a value that it cannot hold.
    """
    if isinstance(indexes, Index) or not all(isinstance(each, Index) for each in indexes):
        raise UsageError(f"{owner}: indexes={indexes!r}: write a list of index(...) and unique(...)")
    if isinstance(natural_key, str) or not all(isinstance(each, str) for each in natural_key):
        raise UsageError(f'{owner}: natural_key={natural_key!r}: write a tuple, as ("external_id",)')
    checked = tuple(one for each in indexes for one in _by_state(owner, table, _index(owner, table, each)))
    made = [(each.order, each.unique, each.where) for each in checked]
    for number, each in enumerate(checked):
        if made[number] in made[:number]:
            raise UsageError(f"{owner}: {each!r} is declared twice")
    _check_columns(f"{owner}: natural_key", table, natural_key)
    for name in natural_key:
        if name not in table.columns or table.columns[name].nullable:
            raise UsageError(f"{owner}: natural_key: {name} must be a field of the class that is never None")
    return {"indexes": checked, "natural_key": tuple(natural_key)}


def _index(owner: str, table: Table, declared: Index) -> Index:
    """Check an index; its values come out as they are stored."""
    told = ", ".join(map(repr, declared.columns))
    where = f"{owner}: {'unique' if declared.unique else 'index'}({told})"
    _check_columns(where, table, [column.removeprefix("-") for column in declared.columns])
    condition = {
        name: _value(f"{where}: where {name!r}", _find(f"{where}: where", table, name), value)
        for name, value in declared.where.items()
    }
    return Index(declared.columns, declared.unique, condition)


def _by_state(owner: str, table: Table, declared: Index) -> list[Index]:
    """Make an index over a StrEnum one for each of its values.

    Behind row-level security a scan cannot compare enums, but it can use an index that holds one value alone.
    """
    names = [column.removeprefix("-") for column in declared.columns]
    name = next((name for name in names if name in table.columns and table.columns[name].enum), None)
    if declared.unique or name is None:
        return [declared]
    columns = tuple(column for column in declared.columns if column.removeprefix("-") != name) or ("ref_id",)
    made: list[Index] = []
    for value in _states(table.columns[name], declared.where.get(name, not_null)):
        made += _by_state(owner, table, Index(columns, where={**declared.where, name: value}))
    if len(made) > _MOST_STATES:
        raise UsageError(
            f"{owner}: {declared!r} is one index for each state, which makes {len(made)}, at most "
            f"{_MOST_STATES} will do; name those that are listed: where={{{name!r}: [...]}}"
        )
    return made


def _states(column: Column, told: Any) -> list[Any]:
    """List the values of an enum that an index holds."""
    if told is None or isinstance(told, str):
        return [told]
    if isinstance(told, tuple):
        return [*told]
    return [member.value for member in column.enum or ()]


def _check_columns(where: str, table: Table, names: Sequence[str]) -> None:
    for name in names:
        column = _find(where, table, name)
        if not column.ordered:
            raise UsageError(f"{where}: {name} is {column.sql}, which has no order that an index could keep")
    if len({*names}) < len(names):
        raise UsageError(f"{where}: a column comes twice")


def _find(where: str, table: Table, name: str) -> Column:
    """Find a column of the class, or one that every class has."""
    if name == "tenant_id":
        raise UsageError(f"{where}: tenant_id leads every index; leave it out")
    if name in table.parts:
        raise UsageError(f"{where}: {name} is a part, kept elsewhere; an index takes columns")
    column = table.column(name)
    if column is None:
        raise UsageError(f"{where}: there is no column {name!r}; it has {', '.join(table.columns)}")
    return column


def _value(where: str, column: Column, value: Any) -> Any:
    if (value is None or value is not_null) and not column.nullable:
        raise UsageError(f"{where}: it is never None; leave it out")
    if value is None or value is not_null:
        return value
    if not column.ordered:
        raise UsageError(f"{where}: {column.sql} takes None or not_null")
    several = isinstance(value, list | tuple | set | frozenset)
    values = list(value) if several else [value]
    if not values or None in values or not_null in values:
        raise UsageError(f"{where}: {value!r} must be a list of values; None and not_null stand alone")
    try:
        encoded = sorted({encode_column(column, each, where) for each in values}, key=_order)
    except ValidationError as error:
        raise UsageError(str(error)) from error
    return tuple(encoded) if several else encoded[0]


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value  # a float may be encoded as text


def machine_of(
    owner: str, table: Table, fields: Mapping[str, FieldInfo], marks: Mapping[str, Mark]
) -> Machine | None:
    """Read the moves that a class allows its state.

    Raises:
        UsageError: not on one required StrEnum column of a Mutable class, or states that it does not have.
    """
    found = [(field, mark) for field, mark in marks.items() if isinstance(mark, MovesMark)]
    if not found:
        return None
    if len(found) > 1:
        raise UsageError(f"{owner}: {' and '.join(f for f, _ in found)} have moves(); a class has one state")
    [(field, mark)] = found
    where, column = f"{owner}.{field}", table.columns[field]
    if column.enum is None or column.nullable:
        raise UsageError(f"{where}: moves() stands on a StrEnum that is never None")
    if not table.mutable:
        raise UsageError(f"{where}: what moves is Mutable: class {owner}(Entity, Mutable, ...)")
    for state in mark.states:
        if type(state) is not column.enum or not state:
            known = ", ".join(f"{column.enum.__name__}.{member.name}" for member in column.enum if member)
            raise UsageError(f"{where}: {state!r} is no state of it; write {known}")
    begin = mark.initial
    if begin is None:
        default = fields[field].default
        begin = (default,) if isinstance(default, column.enum) else ()
    allowed = {state.value: _values(others) for state, others in mark.allowed if others}
    return Machine(field, allowed, _values(begin))


def _values(states: Iterable[StrEnum]) -> tuple[str, ...]:
    return tuple(state.value for state in states)


def lookup_of(owner: str, table: Table, marks: Mapping[str, Mark]) -> str | None:
    """Name the column by which a record is found before its tenant is known.

    Raises:
        UsageError: not one required str column.
    """
    found = [field for field, mark in marks.items() if isinstance(mark, LookupMark)]
    if len(found) > 1:
        raise UsageError(f"{owner}: {' and '.join(found)} have lookup(); a class is found by one column")
    for field in found:
        column = table.columns[field]
        if (column.sql, column.enum, column.nullable) != ("text", None, False):
            raise UsageError(f"{owner}.{field}: lookup() stands on a str that is never None")
    return found[0] if found else None


def check_scope(owner: str, table: Table) -> None:
    """Refuse a scope that is none, and references that cross from one to another or that none could empty.

    Raises:
        UsageError: the scope, or the field and what to write there.
    """
    if table.scope not in get_args(Scope):
        known = ", ".join(get_args(Scope))
        raise UsageError(f"{owner}: scope={table.scope!r}: it must be one of {known}")
    for column in table.columns.values():
        if column.reference is None:
            continue
        where, scope = f"{owner}.{column.name}", column.reference.scope
        if table.scope == "global" and scope != "global":
            raise UsageError(f"{where}: a global record can refer to a global class alone, named as a class")
        if table.scope != "global" and scope == "global" and column.reference.on_delete != "restrict":
            raise UsageError(f'{where}: a global record stays while tenants use it: on_delete="restrict"')
        if column.reference.on_delete == "set null" and not table.mutable:
            remedy = 'on_delete="restrict" or "cascade", or derive the class from Mutable'
            raise UsageError(f"{where}: what is append-only keeps its references: {remedy}")
