"""The aliases by which a class with an alias generator would accept the fields that storekit sets."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import AliasChoices, AliasGenerator, AliasPath, BaseModel

from storekit.model.table.table import RESERVED


def server_names(cls: type[BaseModel]) -> frozenset[str]:
    """Return the names of the fields that storekit sets, and their aliases in this class."""
    made = cls.model_config.get("alias_generator")
    if made is None:
        return frozenset(RESERVED)
    # with the generator to_camel, for example, a request could set ref_id by the name refId
    generator = made if isinstance(made, AliasGenerator) else AliasGenerator(alias=made)
    aliases = (alias for name in RESERVED for alias in generator.generate_aliases(name)[:2])
    return frozenset(RESERVED).union(*(_heads(alias) for alias in aliases))


def _heads(alias: str | AliasPath | AliasChoices | None) -> Iterator[str]:
    """Yield the top-level keys of the input that an alias reads."""
    match alias:
        case str():
            yield alias
        case AliasPath():
            yield str(alias.path[0])
        case AliasChoices():
            for choice in alias.choices:
                yield from _heads(choice)
