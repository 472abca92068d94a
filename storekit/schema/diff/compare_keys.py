"""Compare the keys, indexes and references of a class with those of its table."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from storekit.model.table.keys import ForeignKey, KeyDefinition, is_storekit_index
from storekit.model.table.names import literal, quoted
from storekit.schema import ddl
from storekit.schema.diff.difference import Difference
from storekit.schema.diff.pair import Pair

_ENDING = re.compile(r", ref_id( DESC)?\)")
_NAMED_BY_POSTGRES = re.compile(r"_idx\d*\Z")


def compare_keys(pair: Pair) -> Iterator[Difference]:
    """Yield differences of indexes, matched by definition, and of references, matched by columns."""
    # compare definitions, not names: an index that was created by hand with another name serves too
    present = pair.actual.indexes
    for key, definition in pair.declared.keys.items():
        if definition not in present.values():
            yield _missing(pair, key)
    replaced = _replaced(pair)
    for name in replaced:
        yield pair.drop_index(f"index {name} is replaced by another that also ends with ref_id", name)
    yield from _left(pair, replaced)
    for text in pair.declared.facts.checks.values():
        if text not in pair.actual.checks.values():
            yield pair.add(f"{text} is missing", _add(pair, text))
    yield from _references(pair)


def _replaced(pair: Pair) -> list[str]:
    """Return the names of indexes that lack the final ref_id and are replaced by declared ones."""
    wanted = pair.declared.keys.items()
    former = {_ENDING.sub(")", definition, count=1) for key, definition in wanted if key.kind == "INDEX"}
    return [
        name
        for name, definition in pair.actual.indexes.items()
        if definition in former.difference(pair.declared.keys.values())
        and (is_storekit_index(name, pair.table) or _NAMED_BY_POSTGRES.search(name))
    ]


def _left(pair: Pair, replaced: Container[str]) -> Iterator[Difference]:
    """Yield indexes that the class no longer declares, except those that are dropped with their column."""
    wanted = {*pair.declared.keys.values()}
    names = {key.name for key in pair.declared.keys}
    gone = pair.actual.columns.keys() - pair.declared.facts.columns.keys()
    for name, definition in pair.actual.indexes.items():
        lost = gone.intersection(re.findall(r"\w+", definition))
        known = definition in wanted or name in names or name in replaced
        if not known and not lost and is_storekit_index(name, pair.table):
            yield pair.decide(f"index {name} is not declared", _drop(pair, name))


def _missing(pair: Pair, key: KeyDefinition) -> Difference:
    # the name contains a digest of the definition, so an index with another definition was created by hand,
    # or a CREATE INDEX CONCURRENTLY failed and left it invalid: a person should check before it is dropped
    if key.name in pair.actual.indexes:
        again = f"{_drop(pair, key.name)}\n{key.build(pair.name, key.name)}"
        return pair.decide(f"index {key.name} has another definition than {key.body}, or is invalid", again)
    if key.inline and not key.named:
        reason = "-- the table had this key when it was created, and manage() requires it"
        ignore = "-- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint"
        return pair.add(
            f"{key.clause} is missing", f"{reason}\n{ignore}\nALTER TABLE {pair.name} ADD {key.clause};"
        )
    return pair.index(f"{key.kind.lower().removesuffix(' index')} {key.body} is missing", key)


def _drop(pair: Pair, name: str) -> str:
    drop = f"DROP INDEX IF EXISTS {pair.beside(name)};"
    if name.endswith("_natural_key"):  # a constraint from the first migration, an index from a later one
        return f"{_drop_key(pair, name)}\n{drop}"
    return drop


def _drop_key(pair: Pair, name: str) -> str:
    return f"ALTER TABLE {pair.name} DROP CONSTRAINT IF EXISTS {quoted(name)};"


def _references(pair: Pair) -> Iterator[Difference]:
    present = pair.actual.foreign_keys
    declared = pair.declared.facts.foreign_keys.values()
    for key in declared:
        rivals = [name for name, other in present.items() if other.columns == key.columns]
        column = key.columns[-1]
        if key in present.values():
            continue
        if rivals:  # for example with another on_delete; replacing it changes the effect of a deletion
            drops = "".join(f"{_drop_key(pair, name)}\n" for name in rivals)
            sql = f"{drops}{ddl.add_key(pair.table, key)}"
            yield pair.decide(f"column {column} has another reference than {key.clause}", sql)
        else:
            yield pair.add(f"the reference of column {column} is missing", ddl.add_key(pair.table, key))
    columns = {key.columns for key in declared}
    for name, key in present.items():
        if key.columns not in columns and _is_storekit_reference(pair, key):
            what = f"the reference of column {key.columns[-1]} is not declared"
            yield pair.decide(what, _drop_key(pair, name))


def _is_storekit_reference(pair: Pair, key: ForeignKey) -> bool:
    """Return whether a foreign key has the form that `references()` gives."""
    form = (key.columns[:-1], key.target_columns)
    return key.columns[-1] in pair.table.columns and form in {
        (("tenant_id",), ("tenant_id", "id")),
        ((), ("id",)),
    }


def _add(pair: Pair, definition: str) -> str:
    # Postgres validates the key as the owner of the table. With FORCE ROW LEVEL SECURITY the owner sees no
    # rows, so rows that violate the key would not be found. add_key lifts FORCE for the validation.
    return f"SELECT storekit.add_key({literal(pair.name)}, {literal(definition)});"
