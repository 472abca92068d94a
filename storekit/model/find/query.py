"""Check and encode the conditions of a `where`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from storekit.errors import UsageError, ValidationError
from storekit.ids import REF_ID
from storekit.model.declare.entity import Entity
from storekit.model.find.filters import Filter
from storekit.model.find.operands import as_declared
from storekit.model.table.references import find_reference, reference_names
from storekit.model.table.table import Column, Reference, Table
from storekit.model.values.codec import encode_operand
from storekit.model.values.json_values import encode_inner_operand
from storekit.model.values.limits import MAX_DEPTH, check_text
from storekit.ports.statements import Condition, Parent

_MAX_VALUES = 10_000
"""Maximum number of values of one `in_`. Postgres compares each row that it reads with all of them."""
_SHOWN = 60
"""Maximum number of characters of a value in a message."""
_CONVERTED = {"=", "in", "<", "<=", ">", ">=", "contains"}
"""Operators whose values are converted to the type of the column. A prefix is compared as it is given."""
_OF_PARENT = ".ref_id"
"""End of a name such as "run.ref_id". Callers know the ref_id of a parent from a URL, but not its id."""


def conditions_of(
    entity: type[Entity], where: Mapping[str, Any] | None, *, deleted: bool
) -> tuple[Condition, ...]:
    """Return the conditions of a `where`, with their values encoded.

    Args:
        deleted: include records that are soft-deleted.

    Raises:
        ValidationError: a name is not a column, or a value does not fit its column.
        UsageError: `where` is not a mapping, or contains a parent whose reference was declared with a table
            name; or `deleted` is set for a class without SoftDelete.
    """
    if where is not None and not isinstance(where, Mapping):
        raise UsageError(f'where={where!r:.{_SHOWN}} must map columns to values, as in {{"status": "done"}}')
    if deleted and not entity.storekit_table.soft_delete:
        raise UsageError(
            f"deleted=True: {entity.__name__} keeps no deleted records; omit it, or derive the class from "
            "SoftDelete"
        )
    found = [each for name, value in (where or {}).items() for each in _conditions(entity, name, value)]
    if entity.storekit_table.soft_delete and not deleted:
        found.append(Condition("deleted_on", "timestamptz", "null"))
    return tuple(found)


def find_column(entity: type[Entity], name: Any, where: str, *, shown: str = "it") -> Column:
    """Return a column by its name, which may come from a request.

    Args:
        where: the field of the error.
        shown: the column in the message, if `where` does not name it.

    Raises:
        ValidationError: there is no such column; the message lists the columns.
    """
    table = entity.storekit_table
    if isinstance(name, str):
        if name == "tenant_id":
            raise ValidationError("the scope sets the tenant; omit it", field=where)
        if name in table.parts:
            kind = table.parts[name].kind
            raise ValidationError(f"{shown} is a {kind}; only columns can be used", field=where)
        if (column := table.column(name)) is not None:
            return column
    known = ", ".join(known for known, _ in table.types if known != "tenant_id")
    what = "no such column" if shown == "it" else f"{shown} is not a column"
    raise ValidationError(f"{what}; {entity.__name__} has {known}", field=where)


def _conditions(entity: type[Entity], name: Any, value: Any) -> Iterator[Condition]:
    where = f"{entity.__name__}.{name if isinstance(name, str) else repr(name):.{_SHOWN}}"
    if isinstance(name, str) and name.endswith(_OF_PARENT):
        yield _of_parent(entity.storekit_table, name, value, where)
        return
    column = find_column(entity, name, where)
    if value is None:
        yield Condition(column.name, column.sql, "null")
        return
    if column.ordered and isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        raise ValidationError(
            f"it must be one value, not {type(value).__name__}; for several values write in_(a, b)",
            field=where,
        )
    # Only a Filter has an operator. A dict from the JSON of a request, such as {"$gt": 0}, is a value like
    # any other, and the encoder of the column rejects it, so a request cannot widen a query.
    for operator, given in value.tests if isinstance(value, Filter) else (("=", (value,)),):
        values = given
        if operator in _CONVERTED:
            item = operator == "contains" and not column.ordered
            values = tuple(as_declared(entity, column, each, item=item) for each in given)
        yield Condition(column.name, column.sql, operator, _ENCODERS[operator](column, values, where))


def _of_parent(table: Table, name: str, value: Any, where: str) -> Condition:
    """Read "run.ref_id": the column `run_id`, compared by the ref_id of the record that it refers to."""
    column = find_reference(table, name.removesuffix(_OF_PARENT))
    if column is None or column.reference is None:
        known = ", ".join(f"{reference}{_OF_PARENT}" for reference in reference_names(table))
        raise ValidationError(f"no such reference; {table.name} has {known or 'none'}", field=where)
    # only one parent: then the sub-select returns one id, and the query can use the index of the reference
    if not isinstance(value, str) or not REF_ID.match(value):
        raise ValidationError("pass one ref_id, a ULID of 26 characters", field=where)
    return Condition(column.name, "uuid", "ref_id", (str(value),), _parent(table, column.reference, where))


def _parent(table: Table, reference: Reference, where: str) -> Parent:
    target = table.target_of(reference)
    if target is None:
        raise UsageError(
            f"{where}: the reference was declared with a table name; pass the class to references()"
        )
    return Parent(target.name, reference.scope == "global", target.soft_delete)


def _one(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    (value,) = values
    if value is None:
        raise ValidationError("None cannot be compared; use is_null()", field=where)
    return (encode_operand(column, value, where),)


def _ordered(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    _require_scalar(column, where)
    return _one(column, values, where)


def _require_scalar(column: Column, where: str) -> None:
    if not column.ordered:
        raise ValidationError(
            f"a {column.sql} column cannot be compared this way; pass a value, contains() or json_path()",
            field=where,
        )


def _in(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    _require_scalar(column, where)
    _require_spread(values, "in_", where)
    if len(values) > _MAX_VALUES:
        raise ValidationError(f"in_() takes at most {_MAX_VALUES:,} values, got {len(values):,}", field=where)
    return (tuple(_one(column, (value,), where)[0] for value in values),)


def _require_spread(values: tuple[Any, ...], function: str, where: str) -> None:
    if len(values) == 1 and isinstance(values[0], list | tuple | set | frozenset):
        raise ValidationError(
            f"{function}() takes the values as separate arguments: {function}(*values)", field=where
        )


def _prefix(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if (column.sql, column.enum) != ("text", None):
        raise ValidationError("prefix() needs a str column", field=where)
    return _one(column, values, where)


def _contains(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not column.sql.endswith("[]"):
        raise ValidationError("contains() needs a list column", field=where)
    _require_spread(values, "contains", where)
    return (encode_operand(column, list(values), where),)


def _path(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    path, value = values
    _require_json(column, "json_path", where)
    keys = path.split(".") if isinstance(path, str) else [""]
    if not all(keys) or len(keys) > MAX_DEPTH:
        raise ValidationError(f'the path must have 1 to {MAX_DEPTH} keys, as in "address.city"', field=where)
    return (*(check_text(key, where) for key in keys), encode_inner_operand(value, where))


def _key(column: Column, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    (key,) = values
    _require_json(column, "has_key", where)
    if not isinstance(key, str):
        raise ValidationError(f"a key must be str, not {type(key).__name__}", field=where)
    return (check_text(str(key), where),)


def _require_json(column: Column, function: str, where: str) -> None:
    if column.adapter is None:
        raise ValidationError(f"{function}() needs a JSON column; this one is {column.sql}", field=where)


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
