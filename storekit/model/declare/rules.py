"""Check what a class declares beyond its columns and parts: keys, state machine, look-up, scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypedDict, get_args

from storekit.errors import UsageError, ValidationError
from storekit.model.table.fields import LookupMark, Mark, MovesMark
from storekit.model.table.indexes import Index, not_null
from storekit.model.table.table import Column, Machine, Scope, Table
from storekit.model.values.codec import encode_operand

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


_MAX_STATES = 32
"""Maximum number of indexes that one `index()` with StrEnum columns creates.

Each INSERT evaluates the condition of each of them, and the planner compares all of them for each query.
State machines stay far below the limit: the largest one of `storekit.agency` has five states.
"""


class DeclaredKeys(TypedDict):
    """The result of `keys_of`, as fields of a `Table`."""

    indexes: tuple[Index, ...]
    natural_key: tuple[str, ...]


def keys_of(owner: str, table: Table, indexes: Sequence[Index], natural_key: Sequence[str]) -> DeclaredKeys:
    """Check the class keywords `indexes` and `natural_key`; return them with their values encoded.

    Raises:
        UsageError: a column does not exist or cannot be indexed, or a value does not fit its column.
    """
    if isinstance(indexes, Index) or not all(isinstance(each, Index) for each in indexes):
        raise UsageError(f"{owner}: indexes={indexes!r} must be a list of index(...) and unique(...)")
    if isinstance(natural_key, str) or not all(isinstance(each, str) for each in natural_key):
        raise UsageError(f'{owner}: natural_key={natural_key!r} must be a tuple, as in ("external_id",)')
    checked = tuple(one for each in indexes for one in _by_state(owner, table, _index(owner, table, each)))
    # compared by order: index("-a") and index("-a", "-ref_id") are the same index in the database
    made = [(each.order, each.unique, each.where) for each in checked]
    for number, each in enumerate(checked):
        if made[number] in made[:number]:
            raise UsageError(f"{owner}: {each!r} is declared twice")
    _check_columns(f"{owner}: natural_key", table, natural_key)
    for name in natural_key:
        if name not in table.columns or table.columns[name].nullable:
            raise UsageError(f"{owner}: natural_key: {name} must be a non-nullable field of the class")
    return {"indexes": checked, "natural_key": tuple(natural_key)}


def _index(owner: str, table: Table, declared: Index) -> Index:
    """Check an index and encode the values of its condition."""
    columns = ", ".join(map(repr, declared.columns))
    where = f"{owner}: {'unique' if declared.unique else 'index'}({columns})"
    _check_columns(where, table, [column.removeprefix("-") for column in declared.columns])
    condition = {
        name: _value(f"{where}: where {name!r}", _find(f"{where}: where", table, name), value)
        for name, value in declared.where.items()
    }
    return Index(declared.columns, declared.unique, condition)


def _by_state(owner: str, table: Table, declared: Index) -> list[Index]:
    """Replace an index over a StrEnum column by one partial index for each of its values.

    With row-level security Postgres does not use an index to compare enums, because their operators are not
    leakproof. It does use a partial index whose WHERE is implied by the query.
    """
    names = [column.removeprefix("-") for column in declared.columns]
    name = next((name for name in names if name in table.columns and table.columns[name].enum), None)
    if declared.unique or name is None:
        return [declared]
    columns = tuple(column for column in declared.columns if column.removeprefix("-") != name) or ("ref_id",)
    made: list[Index] = []
    for value in _states(table.columns[name], declared.where.get(name, not_null)):
        made += _by_state(owner, table, Index(columns, where={**declared.where, name: value}))
    if len(made) > _MAX_STATES:
        raise UsageError(
            f"{owner}: {declared!r} creates one index for each value, {len(made)} in total; the limit is "
            f"{_MAX_STATES}. List only the values that you need: where={{{name!r}: [...]}}"
        )
    return made


def _states(column: Column, condition: Any) -> list[Any]:
    """Return the values of an enum column that an index with this condition contains."""
    if condition is None or isinstance(condition, str):
        return [condition]
    if isinstance(condition, tuple):
        return [*condition]
    return [member.value for member in column.enum or ()]


def _check_columns(where: str, table: Table, names: Sequence[str]) -> None:
    for name in names:
        column = _find(where, table, name)
        if not column.ordered:
            raise UsageError(f"{where}: {name} is {column.sql}, which has no order and cannot be indexed")
    if len({*names}) < len(names):
        raise UsageError(f"{where}: duplicate column")


def _find(where: str, table: Table, name: str) -> Column:
    """Return a column of the class or a base column.

    Raises:
        UsageError: there is no such column, or it cannot be named here.
    """
    if name == "tenant_id":
        raise UsageError(f"{where}: tenant_id is the first column of every index; omit it")
    if name in table.parts:
        raise UsageError(f"{where}: {name} is a {table.parts[name].kind}; only columns can be indexed")
    column = table.column(name)
    if column is None:
        raise UsageError(f"{where}: no column {name!r}; the class has {', '.join(table.columns)}")
    return column


def _value(where: str, column: Column, value: Any) -> Any:
    if (value is None or value is not_null) and not column.nullable:
        raise UsageError(f"{where}: the column is not nullable; remove this condition")
    if value is None or value is not_null:
        return value
    if not column.ordered:
        raise UsageError(f"{where}: a {column.sql} column can only be compared with None or not_null")
    several = isinstance(value, list | tuple | set | frozenset)
    values = list(value) if several else [value]
    if not values or None in values or not_null in values:
        raise UsageError(f"{where}: {value!r} must be a list of values; pass None or not_null alone")
    try:
        encoded = sorted({encode_operand(column, each, where) for each in values}, key=_order)
    except ValidationError as error:
        raise UsageError(str(error)) from error
    return tuple(encoded) if several else encoded[0]


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value  # a float column may have both: -0.0 is encoded as text


def machine_of(
    owner: str, table: Table, fields: Mapping[str, FieldInfo], marks: Mapping[str, Mark]
) -> Machine | None:
    """Return the state machine that `moves()` declares, or None.

    Raises:
        UsageError: the field is not the only one with `moves()`, not a non-nullable StrEnum or not in a
            Mutable class, or `moves()` names a state of another enum.
    """
    found = [(field, mark) for field, mark in marks.items() if isinstance(mark, MovesMark)]
    if not found:
        return None
    if len(found) > 1:
        raise UsageError(
            f"{owner}: {' and '.join(f for f, _ in found)} have moves(); a class can have only one state"
        )
    [(field, mark)] = found
    where, column = f"{owner}.{field}", table.columns[field]
    if column.enum is None or column.nullable:
        raise UsageError(f"{where}: moves() needs a non-nullable StrEnum field")
    if not table.mutable:
        raise UsageError(f"{where}: moves() needs a Mutable class: write class {owner}(Entity, Mutable, ...)")
    for state in mark.states:
        if type(state) is not column.enum or not state:
            known = ", ".join(f"{column.enum.__name__}.{member.name}" for member in column.enum if member)
            raise UsageError(f"{where}: {state!r} is not a state of this field; expected one of {known}")
    begin = mark.initial
    if begin is None:
        # new records have the default state unless `initial` says otherwise; without a default, any state
        default = fields[field].default
        begin = (default,) if isinstance(default, column.enum) else ()
    allowed = {state.value: _values(others) for state, others in mark.allowed if others}
    return Machine(field, allowed, _values(begin))


def _values(states: Iterable[StrEnum]) -> tuple[str, ...]:
    return tuple(state.value for state in states)


def lookup_of(owner: str, table: Table, marks: Mapping[str, Mark]) -> str | None:
    """Return the name of the `lookup()` column, or None.

    Raises:
        UsageError: several fields have `lookup()`, or its field is not a non-nullable str.
    """
    found = [field for field, mark in marks.items() if isinstance(mark, LookupMark)]
    if len(found) > 1:
        raise UsageError(f"{owner}: {' and '.join(found)} have lookup(); a class can have only one")
    for field in found:
        column = table.columns[field]
        if (column.sql, column.enum, column.nullable) != ("text", None, False):
            raise UsageError(f"{owner}.{field}: lookup() needs a non-nullable str field")
    return found[0] if found else None


def check_scope(owner: str, table: Table) -> None:
    """Check the scope of a class against the scopes of the classes that it refers to.

    Raises:
        UsageError: the scope is unknown, a reference between scopes cannot be checked by the database, or
            `on_delete` would change an append-only record.
    """
    if table.scope not in get_args(Scope):
        known = ", ".join(get_args(Scope))
        raise UsageError(f"{owner}: scope is {table.scope!r}; it must be one of {known}")
    for column in table.columns.values():
        if column.reference is None:
            continue
        where, scope = f"{owner}.{column.name}", column.reference.scope
        # the foreign key contains the tenant, and a global record has none
        if table.scope == "global" and scope != "global":
            raise UsageError(
                f"{where}: a global class can only refer to global classes; pass the class to references()"
            )
        # deleting one global record would otherwise change the records of every tenant at once
        if table.scope != "global" and scope == "global" and column.reference.on_delete != "restrict":
            raise UsageError(f'{where}: a reference to a global class needs on_delete="restrict"')
        if column.reference.on_delete == "set null" and not table.mutable:
            remedy = 'on_delete="restrict" or "cascade", or derive the class from Mutable'
            raise UsageError(f'{where}: an append-only class cannot use on_delete="set null": use {remedy}')
