"""What a `where` says of a table's columns, checked and encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from storekit.errors import UsageError, ValidationError
from storekit.ids import REF_ID
from storekit.model.declare.entity import Entity
from storekit.model.find.filters import Filter
from storekit.model.table.references import find_reference, reference_names
from storekit.model.table.table import Column, Reference, Table
from storekit.model.values.codec import encode_column, encode_json
from storekit.model.values.limits import MAX_DEPTH, check_text
from storekit.ports.statements import Condition, Parent

_MOST = 10_000
"""Values of one `in_`."""
_SHOWN = 60
"""Characters of a name that a message repeats."""
_OF_PARENT = ".ref_id"


def conditions_of(
    entity: type[Entity], where: Mapping[str, Any] | None, *, deleted: bool
) -> tuple[Condition, ...]:
    """Read a `where`; hidden records stay so unless `deleted`.

    Raises:
        ValidationError: a name that is no column, or a value that its column cannot hold.
        UsageError: `where` is no mapping, or a parent is not declared as a class.
    """
    if where is not None and not isinstance(where, Mapping):
        raise UsageError(f'where is {where!r:.{_SHOWN}}; map columns to values, as {{"status": "done"}}')
    found = [each for name, value in (where or {}).items() for each in _conditions(entity, name, value)]
    if entity.storekit_table.soft_delete and not deleted:
        found.append(Condition("deleted_on", "timestamptz", "null"))
    return tuple(found)


def find_column(entity: type[Entity], name: Any, where: str) -> Column:
    """Find a column by its name, which may come from anywhere.

    Raises:
        ValidationError: there is none; it names those that there are.
    """
    table = entity.storekit_table
    if isinstance(name, str):
        if name == "tenant_id":
            raise ValidationError("the scope names the tenant; leave it out", field=where)
        if name in table.parts:
            kind = table.parts[name].kind
            raise ValidationError(f"it is a {kind}, kept elsewhere; find() knows columns", field=where)
        if (column := table.column(name)) is not None:
            return column
    known = ", ".join(known for known, _ in table.types if known != "tenant_id")
    raise ValidationError(f"there is no such column; {entity.__name__} has {known}", field=where)


def _conditions(entity: type[Entity], name: Any, value: Any) -> Iterator[Condition]:
    where = f"{entity.__name__}.{name if isinstance(name, str) else repr(name):.{_SHOWN}}"
    if isinstance(name, str) and name.endswith(_OF_PARENT):
        yield _of_parent(entity.storekit_table, name, value, where)
        return
    column = find_column(entity, name, where)
    if value is None:
        yield Condition(column.name, column.sql, "null")
        return
    for operator, values in value.tests if isinstance(value, Filter) else (("=", (value,)),):
        yield Condition(column.name, column.sql, operator, _ENCODERS[operator](column, values, where))


def _of_parent(table: Table, name: str, value: Any, where: str) -> Condition:
    """Read "run.ref_id": the column `run_id`, compared by the ref_id of the record that it refers to."""
    column = find_reference(table, name.removesuffix(_OF_PARENT))
    if column is None or column.reference is None:
        known = ", ".join(f"{reference}{_OF_PARENT}" for reference in reference_names(table))
        raise ValidationError(f"there is no such reference; it has {known or 'none'}", field=where)
    if not isinstance(value, str) or not REF_ID.match(value):
        raise ValidationError("it takes one ref_id, a ULID of 26 characters", field=where)
    return Condition(column.name, "uuid", "ref_id", (str(value),), _parent(table, column.reference, where))


def _parent(table: Table, reference: Reference, where: str) -> Parent:
    target = table.target_of(reference)
    if target is None:
        raise UsageError(f"{where}: the parent is named by its table alone; references() takes the class")
    return Parent(target.name, reference.scope == "global", target.soft_delete)


def _one(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    (value,) = values
    if value is None:
        raise ValidationError("nothing compares with None; is_null() finds it", field=where)
    return (encode_column(column, value, where),)


def _ordered(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    _require_scalar(column, where)
    return _one(column, values, where)


def _require_scalar(column: Column, where: str) -> None:
    if not column.ordered:
        raise ValidationError(f"{column.sql} takes a value, contains() or json_path()", field=where)


def _in(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    _require_scalar(column, where)
    _require_spread(values, "in_", where)
    if len(values) > _MOST:
        raise ValidationError(f"in_() has {len(values):,} values, at most {_MOST:,} will do", field=where)
    return (tuple(_one(column, (value,), where)[0] for value in values),)


def _require_spread(values: tuple[Any, ...], word: str, where: str) -> None:
    if len(values) == 1 and isinstance(values[0], list | tuple | set | frozenset):
        raise ValidationError(f"{word}() takes the values themselves: {word}(*values)", field=where)


def _prefix(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if (column.sql, column.enum) != ("text", None):
        raise ValidationError("prefix() is for str", field=where)
    return _one(column, values, where)


def _contains(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not column.sql.endswith("[]"):
        raise ValidationError("contains() is for lists", field=where)
    _require_spread(values, "contains", where)
    return (encode_column(column, list(values), where),)


def _path(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    path, value = values
    _require_json(column, "json_path", where)
    keys = path.split(".") if isinstance(path, str) else [""]
    if not all(keys) or len(keys) > MAX_DEPTH:
        raise ValidationError(f'the path must be 1 to {MAX_DEPTH} keys, as "address.city"', field=where)
    return (*(check_text(key, where) for key in keys), encode_json(value, where))


def _key(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    (key,) = values
    _require_json(column, "has_key", where)
    if not isinstance(key, str):
        raise ValidationError(f"a key must be str, not {type(key).__name__}", field=where)
    return (check_text(str(key), where),)


def _require_json(column: Column, word: str, where: str) -> None:
    if column.adapter is None:
        raise ValidationError(f"{word}() is for JSON objects; the column is {column.sql}", field=where)


_ENCODERS: Mapping[str, Callable[[Column, tuple[Any, ...], str], tuple[Any, ...]]] = {
    "=": _one,
    "in": _in,
    **dict.fromkeys(("<", "<=", ">", ">="), _ordered),
    **dict.fromkeys(("null", "not null"), lambda column, values, where: ()),
    "prefix": _prefix,
    "contains": _contains,
    "path": _path,
    "key": _key,
}
