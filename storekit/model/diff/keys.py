"""How the keys, indexes and references of a class and of its table differ."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.model.diff.difference import Difference
from storekit.model.diff.pair import Pair
from storekit.model.keys import ForeignKey, Key, is_ours
from storekit.model.names import literal, quoted


def keys(pair: Pair) -> Iterator[Difference]:
    """Compare indexes by their definitions, references by their columns."""
    there = pair.actual.indexes
    for key, definition in pair.declared.keys.items():
        if definition not in there.values():
            yield _missing(pair, key)
    yield from _left(pair)
    for text in pair.declared.facts.checks.values():
        if text not in pair.actual.checks.values():
            yield pair.add(f"{text} is missing", _add(pair, text))
    yield from _references(pair)


def _left(pair: Pair) -> Iterator[Difference]:
    """Find indexes that were declared once; one of a column that is gone from the class goes with it."""
    wanted, names = {*pair.declared.keys.values()}, {key.name for key in pair.declared.keys}
    gone = pair.actual.columns.keys() - pair.declared.facts.columns.keys()
    for name, definition in pair.actual.indexes.items():
        lost = gone.intersection(re.findall(r"\w+", definition))
        if definition not in wanted and name not in names and not lost and is_ours(name, pair.table):
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
    schema = pair.name.partition(".")[0]
    if name.endswith("_natural_key"):  # a constraint if the table began with it, an index if it came later
        return f"{_drop_key(pair, name)}\nDROP INDEX IF EXISTS {schema}.{quoted(name)};"
    return f"DROP INDEX IF EXISTS {schema}.{quoted(name)};"


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
            sql = f"{drops}{_add(pair, key.line)}"
            yield pair.decide(f"column {column} refers otherwise than by {key.line}", sql)
        else:
            yield pair.add(f"the reference of column {column} is missing", _add(pair, key.line))
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
