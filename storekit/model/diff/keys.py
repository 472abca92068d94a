"""How the keys, indexes and references of a class and of its table differ."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from storekit.model.diff.difference import Difference
from storekit.model.diff.pair import Pair
from storekit.model.keys import ForeignKey, Key, constraint, is_ours
from storekit.model.names import literal, quoted

_ENDING = re.compile(r", ref_id( DESC)?\)")
_NAMED_BY_POSTGRES = re.compile(r"_idx\d*\Z")


def keys(pair: Pair) -> Iterator[Difference]:
    """Compare indexes by their definitions, references by their columns."""
    there = pair.actual.indexes
    for key, definition in pair.declared.keys.items():
        if definition not in there.values():
            yield _missing(pair, key)
    replaced = _replaced(pair)
    for name in replaced:
        yield pair.drop_index(f"index {name} is one that another, which ends with ref_id, has replaced", name)
    yield from _left(pair, replaced)
    for text in pair.declared.facts.checks.values():
        if text not in pair.actual.checks.values():
            yield pair.add(f"{text} is missing", _add(pair, text))
    yield from _references(pair)


def _replaced(pair: Pair) -> list[str]:
    """Name the indexes of former releases, which ended before ref_id; the wanted ones serve all they did."""
    wanted = pair.declared.keys.items()
    former = {_ENDING.sub(")", definition, count=1) for key, definition in wanted if key.kind == "INDEX"}
    return [
        name
        for name, definition in pair.actual.indexes.items()
        if definition in former.difference(pair.declared.keys.values())
        and (is_ours(name, pair.table) or _NAMED_BY_POSTGRES.search(name))
    ]


def _left(pair: Pair, replaced: Container[str]) -> Iterator[Difference]:
    """Find indexes that were declared once; one of a column that is gone from the class goes with it."""
    wanted = {*pair.declared.keys.values()}
    names = {key.name for key in pair.declared.keys}
    gone = pair.actual.columns.keys() - pair.declared.facts.columns.keys()
    for name, definition in pair.actual.indexes.items():
        lost = gone.intersection(re.findall(r"\w+", definition))
        known = definition in wanted or name in names or name in replaced
        if not known and not lost and is_ours(name, pair.table):
            yield pair.decide(f"index {name} is not declared", _drop(pair, name))


def _missing(pair: Pair, key: Key) -> Difference:
    if key.name in pair.actual.indexes:
        again = f"{_drop(pair, key.name)}\n{key.build(pair.name, key.name)}"
        return pair.decide(f"index {key.name} is not on {key.body}, or not valid", again)
    if key.inline and not key.named:
        allow = "-- storekit: allow concurrently: manage() asks for the key itself, which somebody dropped"
        return pair.add(f"{key.line} is missing", f"{allow}\nALTER TABLE {pair.name} ADD {key.line};")
    return pair.index(f"{key.kind.lower().removesuffix(' index')} {key.body} is missing", key)


def _drop(pair: Pair, name: str) -> str:
    drop = f"DROP INDEX IF EXISTS {pair.beside(name)};"
    if name.endswith("_natural_key"):  # a constraint if the table began with it, an index if it came later
        return f"{_drop_key(pair, name)}\n{drop}"
    return drop


def _drop_key(pair: Pair, name: str) -> str:
    return f"ALTER TABLE {pair.name} DROP CONSTRAINT IF EXISTS {quoted(name)};"


def _references(pair: Pair) -> Iterator[Difference]:
    there = pair.actual.foreign_keys
    declared = pair.declared.facts.foreign_keys.values()
    for key in declared:
        rivals = [name for name, other in there.items() if other.columns == key.columns]
        column = key.columns[-1]
        if key in there.values():
            continue
        if rivals:
            drops = "".join(f"{_drop_key(pair, name)}\n" for name in rivals)
            sql = f"{drops}{_add(pair, constraint(pair.table, key))}"
            yield pair.decide(f"column {column} refers otherwise than by {key.line}", sql)
        else:
            yield pair.add(
                f"the reference of column {column} is missing", _add(pair, constraint(pair.table, key))
            )
    columns = {key.columns for key in declared}
    for name, key in there.items():
        if key.columns not in columns and _is_ours(pair, key):
            what = f"the reference of column {key.columns[-1]} is not declared"
            yield pair.decide(what, _drop_key(pair, name))


def _is_ours(pair: Pair, key: ForeignKey) -> bool:
    """Tell whether a reference has the form of a declared one."""
    form = (key.columns[:-1], key.target_columns)
    return key.columns[-1] in pair.table.columns and form in {
        (("tenant_id",), ("tenant_id", "id")),
        ((), ("id",)),
    }


def _add(pair: Pair, definition: str) -> str:
    # checked with FORCE lifted, which blinds the owner
    return f"SELECT storekit.add_key({literal(pair.name)}, {literal(definition)});"
