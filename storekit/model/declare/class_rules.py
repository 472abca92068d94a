"""Check the settings and the defaults of a class, besides the types of its fields."""

from __future__ import annotations

from pydantic import BaseModel

from storekit.errors import UsageError, ValidationError
from storekit.model.table.table import Table
from storekit.model.values.codec import encode_column


def check_config(cls: type[BaseModel]) -> None:
    """Raise UsageError for a setting under which a record would not be stored whole."""
    config, owner = cls.model_config, cls.__name__
    if config.get("extra") == "allow":
        raise UsageError(
            f'{owner}: extra="allow" accepts fields that have no column, so they would not be stored; '
            "declare a field of the type dict[str, Any]"
        )
    if (revalidate := config.get("revalidate_instances", "never")) != "never":
        raise UsageError(
            f"{owner}: revalidate_instances={revalidate!r} would copy a record without its id and version; "
            "remove it"
        )


def check_parameters(cls: type[BaseModel]) -> None:
    """Raise UsageError for a class with a table and type variables: its columns have no types."""
    if variables := cls.__pydantic_generic_metadata__["parameters"]:
        name = cls.__name__
        raise UsageError(
            f"{name} is generic in {', '.join(map(str, variables))}; define it without a table, and derive a "
            f'class that has types: class Name({name}[int], table="...")'
        )


def check_enum_values(cls: type[BaseModel], table: Table) -> None:
    """Raise UsageError if the class would contain other values of enums than a read returns."""
    enums = [column.name for column in table.columns.values() if column.enum is not None]
    if enums and cls.model_config.get("use_enum_values"):
        raise UsageError(
            f"{cls.__name__}.{enums[0]}: use_enum_values=True replaces the member by its value, but a read "
            "returns the member; remove it (a StrEnum is a str already)"
        )


def check_defaults(cls: type[BaseModel], table: Table) -> None:
    """Raise UsageError for a default that cannot be stored."""
    for name, column in table.columns.items():
        info = cls.model_fields[name]
        checked_later = info.validate_default or cls.model_config.get("validate_default")
        if info.is_required() or info.default_factory is not None or info.default is None or checked_later:
            continue
        try:
            encode_column(column, info.default, f"{cls.__name__}.{name}")
        except ValidationError as error:
            raise UsageError(f"the default cannot be stored: {error}") from error
