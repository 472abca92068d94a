"""Turn operations into changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storekit.errors import StorekitError
from storekit.flows.context import Context
from storekit.flows.write.natural_keys import Keys, look_up_keys
from storekit.flows.write.operations import Operation
from storekit.flows.write.planning import off_loop, takes_long
from storekit.flows.write.remove import removal
from storekit.flows.write.transition import move
from storekit.flows.write.update import Judged, change_to, read_judged, read_stored_parts
from storekit.model.save.change import Change, Request
from storekit.model.save.changes import change_of


async def resolve(
    context: Context,
    operations: Sequence[Operation],
    before: Sequence[Operation] = (),
    *,
    whole: bool = False,
) -> list[Change]:
    """Return the changes that result from some operations.

    One trip if an operation uses natural keys, one if an update changes a blob that a document links, one if
    the validators of an updated class look at other fields; else none.

    Args:
        before: operations of the same unit that were resolved earlier and that a look-up cannot find yet.
        whole: return a change for each operation, also if its record exists and is ignored: the fingerprint
            of a request covers all of it.

    Raises:
        ValidationError, UsageError, ConstraintViolation: a record cannot be stored; `.index` is its position.
    """
    keyed = any(each.keyed for each in operations)
    # one look-up for all operations: a batch of any size costs one trip
    keys = await look_up_keys(context, operations, before) if keyed else Keys()
    updates = [each for each in operations if each.verb == "update"]
    found = await read_judged(context, ((each.entity_class, each.ref_id, each.values) for each in updates))

    def work() -> list[Change]:
        return [change for each in operations for change in one(each)]

    def one(each: Operation) -> Iterator[Change]:
        try:
            keyed = each.keyed
            change = keys.change(each, context, whole=whole) if keyed else _plain(each, context, found)
        except StorekitError as error:
            if len(operations) > 1 or each.place:
                error.at(each.place)
            raise
        if change is not None:
            change.place, change.reason = each.place, each.reason
            yield change

    long = takes_long([each.table for each in operations])
    changes = await off_loop(context, work, long=long)
    if updates:
        await read_stored_parts(context, changes)
    return changes


def _plain(operation: Operation, context: Context, found: Judged) -> Change:
    """Return the change of an operation that does not use natural keys."""
    if operation.entity is not None:
        operation.outcome = operation.entity
        change = change_of(operation.entity, context.actor.tenant, operation.expected_version)
        if operation.verb == "advance":  # the cursor of a repeated request has moved, or exists by now
            change.request = Request("advance", frozenset(change.table.columns), operation.entity.id)
        return change
    if operation.verb == "transition":
        return move(operation)
    if operation.verb == "update":
        what = operation.entity_class, operation.ref_id, operation.values
        return change_to(context, *what, found, operation.expected_version)
    return removal(operation)
