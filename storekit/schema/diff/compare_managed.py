"""Compare what storekit has registered for a table: parts, look-up, moves, scope, guards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from storekit.model.table.names import quoted
from storekit.schema import ddl
from storekit.schema.diff.difference import Difference
from storekit.schema.diff.facts import Move
from storekit.schema.diff.pair import Pair


def compare_managed(pair: Pair) -> Iterator[Difference]:
    """Yield differences of registered facts and of the objects that `manage` creates from them."""
    yield from _parts(pair)
    yield from _lookup(pair)
    yield from _moves(pair)
    declared, actual = pair.declared.facts, pair.actual
    # without `manage`, or with another scope, every guard differs, so one difference is enough
    if actual.scope is None:
        yield pair.add("the table is not managed")
        return
    if declared.scope != actual.scope:
        yield pair.decide(f"the scope is {actual.scope}, not {declared.scope}", ddl.call_manage(pair.table))
        return
    yield from _guards(pair)
    for name in sorted((declared.writable & actual.columns.keys()) - actual.writable):
        yield pair.add(f"column {name} is missing from the table's write functions and grants")


def _parts(pair: Pair) -> Iterator[Difference]:
    for name, part in pair.declared.facts.parts.items():
        known = pair.actual.parts.get(name)
        [sql] = ddl.insert_parts(pair.table, [name])
        if known is None:
            yield pair.add(f"part {name} is missing", sql)
        elif known.kind != part.kind:
            yield pair.decide(f"part {name} is a {known.kind}, not a {part.kind}", sql)
        elif known != part:
            yield pair.add(f"part {name} is registered as {known}, not {part}", sql)
    for name in pair.actual.parts.keys() - pair.declared.facts.parts.keys():
        left = [f"{name}{end}" for end in ("_ref", "_expired_on") if f"{name}{end}" in pair.actual.columns]
        drops = "".join(f"{pair.drop(column)}\n" for column in left)
        yield pair.decide(
            f"part {name} is not declared; its content stays until no row refers to it",
            f"{drops}{ddl.delete_field(pair.table, name)}",
        )


def _lookup(pair: Pair) -> Iterator[Difference]:
    wanted, known = pair.declared.facts.lookups, pair.actual.lookups
    insert = "\n".join(ddl.insert_lookup(pair.table))
    # code that uses the look-up would break if it were removed, so this is a decision
    for name in known - wanted:
        sql = "\n".join([ddl.delete_field(pair.table, name), *([insert] if insert else [])])
        yield pair.decide(f"rows can be looked up by {name}, which is not a lookup() of the class", sql)
    if wanted and not known:
        yield pair.add(f"rows cannot be looked up by {pair.table.lookup} yet", insert)


def _moves(pair: Pair) -> Iterator[Difference]:
    wanted, known = pair.declared.facts.moves, pair.actual.moves
    # changed moves are an addition, because the class lists them; removing all of them is a decision
    if known and not wanted:
        yield pair.decide(
            "the database restricts the changes of state, the class does not", ddl.delete_moves(pair.table)
        )
    elif wanted != known:
        lacks, extra = _listed(wanted - known), _listed(known - wanted)
        what = [*([f"lack {lacks}"] if lacks else []), *([f"allow {extra}"] if extra else [])]
        yield pair.add(
            f"the allowed changes of state {' and '.join(what)}", "\n".join(ddl.insert_moves(pair.table))
        )


def _guards(pair: Pair) -> Iterator[Difference]:
    declared, actual = pair.declared.facts.guards, pair.actual.guards
    for name in sorted(declared.keys() | actual.keys()):
        if actual.get(name) == declared.get(name) or _comes_with_a_difference(pair, name):
            continue
        if name in declared:
            yield pair.add(f"{name} {'has another definition' if name in actual else 'is missing'}")
        elif name == "trigger storekit_reason":
            no_reason = ddl.manage(pair.table, reason_required=False)
            yield pair.decide("each change needs a reason, which the class does not require", no_reason)
        elif name.startswith(
            "policy "
        ):  # policies are combined with OR, so another one may show a tenant the rows of other tenants
            drop = f"DROP POLICY {quoted(name.removeprefix('policy '))} ON {pair.name};"
            yield pair.decide(f"{name} is not storekit's", drop)


def _listed(moves: Iterable[Move]) -> str:
    return ", ".join(f"{start or '(new)'} -> {end}" for _, start, end in sorted(moves))


def _comes_with_a_difference(pair: Pair, guard: str) -> bool:
    """Return whether a guard differs because of another difference, which is reported already."""
    declared, actual = pair.declared.facts, pair.actual
    match guard.split():
        case ["key", ref]:
            return ref.removesuffix("_ref_live") not in actual.parts
        case ["check", name]:
            column = name.removesuffix("_storable")
            return declared.columns.get(column) != actual.columns.get(column)
        case ["policy", "lookup"]:
            return declared.lookups != actual.lookups
        case ["trigger", "storekit_move" | "storekit_begin"]:
            return declared.moves != actual.moves
        case ["trigger", "storekit_append_only" | "storekit_keep"]:
            return pair.table.mutable != ("updated_on" in actual.columns)
    return False
