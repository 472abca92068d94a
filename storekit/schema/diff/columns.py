"""How the columns of a class and of its table differ."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.model.table.names import literal, qualified, quoted
from storekit.model.table.table import MUTABLE, SOFT_DELETE
from storekit.schema import ddl
from storekit.schema.diff.difference import Difference, Place
from storekit.schema.diff.facts import ColumnFact
from storekit.schema.diff.pair import Pair

_MIXINS = {**dict.fromkeys(MUTABLE, "Mutable"), **dict.fromkeys(SOFT_DELETE, "SoftDelete")}


def columns(pair: Pair) -> Iterator[Difference]:
    """Compare them by name."""
    definitions = ddl.columns(pair.table, pair.entity.model_fields)
    if not pair.table.parts:
        del definitions["parts_live"]
    for name, definition in definitions.items():
        if name in pair.actual.columns:
            yield from _changed(pair, name, pair.declared.facts.columns[name], pair.actual.columns[name])
        else:
            yield _missing(pair, name, definition)
    leftovers = {f"{part}{end}" for part in pair.actual.parts for end in ("_ref", "_expired_on")}
    for name, fact in pair.actual.columns.items():
        if name not in {*definitions, *leftovers, "parts_live"}:
            yield _undeclared(pair, name, fact)


def _missing(pair: Pair, name: str, definition: str) -> Difference:
    fact, column = pair.declared.facts.columns[name], pair.table.columns.get(name)
    make_type = f"{ddl.create_enum(column)}\n" if column is not None and column.enum else ""
    sql = f"ALTER TABLE {pair.name} ADD COLUMN {quoted(name)} {definition}"
    if fact.nullable or fact.default is not None:
        return pair.add(f"column {name} is missing", f"{make_type}{sql};")
    if pair.actual.empty:
        allow = "-- the table had no rows when this was written\n-- squawk-ignore adding-required-field\n"
        return pair.add(f"column {name} is missing", f"{make_type}{allow}{sql};")
    return pair.decide(
        f"column {name} is missing, and each row that is there needs a value in it",
        f"{make_type}{sql} DEFAULT ...;\nALTER TABLE {pair.name} ALTER COLUMN {quoted(name)} DROP DEFAULT;",
    )


def _undeclared(pair: Pair, name: str, fact: ColumnFact) -> Difference:
    drop = pair.drop(name) + (f"\nDROP TYPE {fact.enum};" if fact.enum else "")
    if name in _MIXINS:
        return pair.decide(f"column {name} is there, and the class is not {_MIXINS[name]}", drop)
    drop += _rename(pair, name, fact)
    if not fact.nullable and fact.default is None:
        return pair.decide(f"column {name} is not declared, and no save gives it the value it needs", drop)
    return pair.remark(f"column {name} is not declared", drop)


def _rename(pair: Pair, name: str, fact: ColumnFact) -> str:
    """Write how a column would get the name of the one that came, if just one of its type did."""
    columns = pair.declared.facts.columns
    came = [new for new in pair.table.columns if new not in pair.actual.columns and new in columns]
    match [new for new in came if columns[new].type == fact.type]:
        case [new]:
            rename = f"ALTER TABLE {pair.name} RENAME COLUMN {quoted(name)} TO {quoted(new)};"
            # a comment of the SQL too, and at its end: what was remarked is known by the lines before it
            return f"\n-- or, if {new} is its new name, in place of ADD COLUMN {new}: {rename}"
    return ""


def _changed(pair: Pair, name: str, declared: ColumnFact, actual: ColumnFact) -> Iterator[Difference]:
    alter = f"ALTER TABLE {pair.name} ALTER COLUMN {quoted(name)}"
    if declared.type != actual.type and not (declared.labels and actual.labels):
        yield pair.decide(f"column {name} is {actual.type}, not {declared.type}", _retype(pair, name))
        return
    if declared.generated or actual.generated:
        if (declared.generated, declared.default) != (actual.generated, actual.default):
            yield pair.decide(f"column {name} is generated otherwise than storekit's", f"{alter} ...;")
        return
    yield from _labels(pair, name, declared, actual)
    if declared.nullable and not actual.nullable:
        yield pair.add(f"column {name} takes no NULL", f"{alter} DROP NOT NULL;")
    if actual.nullable and not declared.nullable:
        yield pair.decide(f"column {name} takes NULL", f"{alter} SET NOT NULL;")
    if declared.default is None and actual.default is not None:
        yield pair.remark(
            f"column {name} has the default {actual.default}, the class has none", f"{alter} DROP DEFAULT;"
        )
    elif declared.default != actual.default:
        sql = f"{alter} SET DEFAULT {_default(pair, name, declared)};"
        yield pair.add(f"column {name} has {_told(actual.default)}, not {declared.default}", sql)


def _told(default: str | None) -> str:
    return "no default" if default is None else f"the default {default}"


def _default(pair: Pair, name: str, fact: ColumnFact) -> str | None:
    """Write a default as the class's own migration does: Postgres's words leave the type's schema out."""
    column = pair.table.columns.get(name)
    return fact.default if column is None else ddl.constant(column, pair.entity.model_fields[name].default)


def _labels(pair: Pair, name: str, declared: ColumnFact, actual: ColumnFact) -> Iterator[Difference]:
    """Compare what an enum takes; the order of labels is no promise."""
    fresh = [label for label in declared.labels if label not in actual.labels]
    place: Place = "first" if any(_is_used(pair, label) for label in fresh) else "main"
    before: str | None = None
    for label in declared.labels:
        if label in fresh:
            where = f"BEFORE {literal(actual.labels[0])}" if before is None else f"AFTER {literal(before)}"
            sql = f"ALTER TYPE {actual.enum} ADD VALUE {literal(label)} {where};"
            yield pair.add(f"column {name} does not take {label!r}", sql, place)
        before = label
    lost = [label for label in actual.labels if label not in declared.labels]
    if lost:
        told = ", ".join(map(repr, lost))
        yield pair.decide(f"column {name} takes {told}, the class does not", _retype(pair, name))


def _is_used(pair: Pair, label: str) -> bool:
    """Tell whether a default or an index says the label, which Postgres forbids in its own transaction."""
    told = literal(label)
    words = [fact.default or "" for fact in pair.declared.facts.columns.values()]
    return any(told in word for word in (*words, *pair.declared.keys.values()))


def _retype(pair: Pair, name: str) -> str:
    """Give a column its declared type. An enum is made anew: Postgres takes no label away."""
    declared, actual = pair.declared.facts.columns[name], pair.actual.columns[name]
    column, own, old = pair.table.columns.get(name), quoted(name), actual.enum
    alter, kind = f"ALTER TABLE {pair.name} ALTER COLUMN {own}", declared.type
    lines = [pair.free(name).rstrip()] if pair.free(name) else []
    # what compares with a value of the old type holds the column fast
    partial = {n: d for n, d in pair.actual.indexes.items() if re.search(rf" WHERE .*\b{own}\b", d)}
    lines += [f"DROP INDEX IF EXISTS {pair.beside(each)};" for each in partial]
    if column is not None and column.enum:
        kind = qualified(column.sql)
        if old == kind:
            lines.append(f"ALTER TYPE {old} RENAME TO {column.sql.rpartition('.')[2]}_old;")
            old = f"{old}_old"
        lines.append(ddl.create_enum(column))
    lines += [f"{alter} DROP DEFAULT;"] if actual.default is not None else []
    lines.append(f"{alter} TYPE {kind} USING {own}::text{'' if kind == 'text' else f'::{kind}'};")
    lines += (
        [f"{alter} SET DEFAULT {_default(pair, name, declared)};"] if declared.default is not None else []
    )
    allow = (
        "-- the statement above has just rewritten the table under the same lock\n"
        "-- squawk-ignore require-concurrent-index-creation"
    )
    for key, definition in pair.declared.keys.items():
        if definition in partial.values():
            lines += [allow, key.build(pair.name, key.name)]
    return "\n".join([*lines, *([f"DROP TYPE {old};"] if old else [])])
