"""The names under which a class's alias generator would take what storekit sets."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import AliasChoices, AliasGenerator, AliasPath, BaseModel

from storekit.model.table.table import RESERVED


def server_names(cls: type[BaseModel]) -> frozenset[str]:
    """Name the fields that storekit sets as the class's alias generator calls them, too."""
    made = cls.model_config.get("alias_generator")
    if made is None:
        return frozenset(RESERVED)
    generator = made if isinstance(made, AliasGenerator) else AliasGenerator(alias=made)
    aliases = (alias for name in RESERVED for alias in generator.generate_aliases(name)[:2])
    return frozenset(RESERVED).union(*(_heads(alias) for alias in aliases))


def _heads(alias: str | AliasPath | AliasChoices | None) -> Iterator[str]:
    """List the keys under which an alias finds a value."""
    match alias:
        case str():
            yield alias
        case AliasPath():
            yield str(alias.path[0])
        case AliasChoices():
            for choice in alias.choices:
                yield from _heads(choice)
