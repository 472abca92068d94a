"""Run the validators of a class apart: those of one field, and those of the whole record.

An assignment runs both. A partial update must run the validators of several fields, and only then those of
the record: between two fields the record may be invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import CoreSchema, SchemaValidator, core_schema

if TYPE_CHECKING:
    from pydantic import BaseModel

LOADING = object()
"""Validation context that allows the fields that storekit sets, for loading and saving a record."""
_running: ContextVar[tuple[object, object] | None] = ContextVar("storekit_running", default=None)
"""The run of validators that takes place now, and the object that they validate if it existed before. An
assignment that they make to this object must not start them again."""
_MODELS = {"model", "dataclass", "typed-dict", "definitions"}
"""Schemas whose validators look at their own fields, not at those of the record."""
Json = dict[str, Any]


class _Plain:
    """The class of a schema that validates assignments only: those do not use the class."""


def has_model_validators(cls: type[BaseModel]) -> bool:
    """Return whether the class has validators of the whole record, besides the one of `Entity`."""
    return any(name != "_refuse_server_values" for name in cls.__pydantic_decorators__.model_validators)


def guarded(cls: type[BaseModel], schema: CoreSchema) -> CoreSchema:
    """Return a schema that marks the class as being validated, if it has validators that could assign."""
    validators = cls.__pydantic_decorators__.model_validators.values()
    if all(each.info.mode == "before" for each in validators):
        return schema

    def guard(value: Any, handler: Callable[[Any], Any]) -> Any:
        # an assignment passes the object; the constructor passes values, and the object is made in this run
        with validating(value if isinstance(value, cls) else None):
            return handler(value)

    return core_schema.no_info_wrap_validator_function(guard, schema)


@contextmanager
def validating(record: BaseModel | None) -> Iterator[None]:
    """Mark an object as being validated; None for the one that will be made."""
    token = _running.set((object(), record))
    try:
        yield
    finally:
        _running.reset(token)


def current_run() -> object | None:
    """Return the run of validators in which an object is made; None outside of validators."""
    running = _running.get()
    return None if running is None else running[0]


def _is_validated(record: BaseModel) -> bool:
    """Return whether the validators that run now validate this object."""
    if (running := _running.get()) is None:
        return False
    run, known = running
    if record is known:
        return True
    memory = (record.__pydantic_private__ or {}).get("_memory")
    return known is None and memory is not None and memory.made_in is run


def assign(record: BaseModel, name: str, value: Any) -> None:
    """Validate an assignment and make it. A refused assignment leaves the object as it was.

    An assignment by a validator to its own object sets the value as it is: validating it would start the
    validator again.
    """
    cls, put = type(record), object.__setattr__
    if _is_validated(record) and not cls.model_fields[name].frozen:
        record.__dict__[name] = value
        record.__pydantic_fields_set__.add(name)
        return
    # pydantic sets the new value before it runs the validators of the record, which may assign further fields
    before, given, private = record.__dict__, {*record.__pydantic_fields_set__}, record.__pydantic_private__
    kept = None if private is None else {**private}
    try:
        # the context allows the fields that storekit sets, because pydantic passes on the whole object
        cls.__pydantic_validator__.validate_assignment(record, name, value, context=LOADING)
    except BaseException:
        put(record, "__dict__", before)
        put(record, "__pydantic_fields_set__", given)
        put(record, "__pydantic_private__", kept)
        raise


def validate_field(cls: type[BaseModel], name: str, value: Any, others: Mapping[str, Any]) -> Any:
    """Validate one field with its validators, which see the other fields as `info.data`.

    Raises:
        pydantic.ValidationError: the field does not accept the value, or is frozen.
    """
    fields, _ = _apart(cls)
    # the result of fields is a tuple of the values, the extra values and the names that were set
    made: Any = fields.validate_assignment({**others}, name, value, context=LOADING)
    return made[0][name]


def validate_record(record: BaseModel, name: str) -> None:
    """Run the validators of the whole record once, as after an assignment to a field.

    Raises:
        pydantic.ValidationError: a validator refused the record; the object may have been changed.
    """
    _, rules = _apart(type(record))
    rules.validate_assignment(record, name, record.__dict__[name], context=LOADING)


@lru_cache(maxsize=1024)
def looks_at_record(cls: type[BaseModel]) -> bool:
    """Return whether a validator needs other fields than the one that it validates."""
    return has_model_validators(cls) or any(
        _takes_info(field["schema"]) for field in _fields(_schema(cls))["fields"].values()
    )


def _takes_info(schema: Any) -> bool:
    if isinstance(schema, list | tuple):
        return any(map(_takes_info, schema))
    if not isinstance(schema, dict) or schema.get("type") in _MODELS:
        return False
    function = schema.get("function")
    if isinstance(function, dict) and function.get("type") == "with-info":
        return True
    return any(_takes_info(each) for key, each in schema.items() if key not in {"serialization", "metadata"})


@lru_cache(maxsize=1024)
def _apart(cls: type[BaseModel]) -> tuple[SchemaValidator, SchemaValidator]:
    """Return a validator of single fields, and one of the record that accepts its fields as they are."""
    schema = _schema(cls)
    fields = cast("CoreSchema", _rebuilt(schema, lambda each: each, only=True))
    rules = cast("CoreSchema", _rebuilt(schema, _accepting, only=False))
    return SchemaValidator(fields, _config(schema)), SchemaValidator(rules)


def _schema(cls: type[BaseModel]) -> Json:
    cls.model_rebuild()
    return cast("Json", cls.__pydantic_core_schema__)


def _rebuilt(schema: Json, change: Callable[[Json], Json], *, only: bool) -> Json:
    """Copy a schema with other fields; with `only`, leave out the validators around the fields."""
    match schema["type"]:
        case "model-fields":
            return change(schema)
        case "definitions":
            return {**schema, "schema": _rebuilt(_top(schema), change, only=only)}
    inner = _rebuilt(schema["schema"], change, only=only)
    if only:
        return inner
    # for a complete class pydantic would take the class's own validator and ignore the fields given here
    own = {"cls": _Plain} if schema["type"] == "model" else {}
    return {**schema, **own, "schema": inner}


def _top(schema: Json) -> Json:
    """Return the schema of the class among definitions; a class that refers to itself is one of them."""
    top: Json = schema["schema"]
    if top["type"] != "definition-ref":
        return top
    return next(each for each in schema["definitions"] if each["ref"] == top["schema_ref"])


def _fields(schema: Json) -> Json:
    while schema["type"] != "model-fields":
        schema = _top(schema) if schema["type"] == "definitions" else schema["schema"]
    return schema


def _config(schema: Json) -> Any:
    while schema["type"] != "model":
        schema = _top(schema) if schema["type"] == "definitions" else schema["schema"]
    return schema.get("config")


def _accepting(fields: Json) -> Json:
    """Return the fields with schemas that accept every value."""
    return {
        **fields,
        "fields": {name: core_schema.model_field(core_schema.any_schema()) for name in fields["fields"]},
    }
