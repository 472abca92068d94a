"""Turn operations into changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storekit.errors import StorekitError
from storekit.flows.context import Context
from storekit.flows.write.natural_keys import Keys, look_up_keys
from storekit.flows.write.operations import Operation
from storekit.flows.write.planning import off_loop, takes_long
from storekit.flows.write.remove import removal
from storekit.flows.write.update import read_stored_parts
from storekit.model.save.change import Change
from storekit.model.save.changes import change_from, change_of


async def resolve(
    context: Context, operations: Sequence[Operation], before: Sequence[Operation] = ()
) -> list[Change]:
    """Return the changes that result from some operations.

    One trip if an operation uses natural keys, one if an update changes a blob that a document links; else
    none.

    Args:
        before: operations of the same unit that were resolved earlier and that a look-up cannot find yet.

    Raises:
        ValidationError, UsageError, ConstraintViolation: a record cannot be stored; `.index` is its position.
    """
    keyed = any(each.keyed for each in operations)
    # one look-up for all operations: a batch of any size costs one trip
    keys = await look_up_keys(context, operations, before) if keyed else Keys()

    def work() -> list[Change]:
        return [change for each in operations for change in one(each)]

    def one(each: Operation) -> Iterator[Change]:
        try:
            change = keys.change(each, context) if each.keyed else _plain(each, context)
        except StorekitError as error:
            if len(operations) > 1 or each.place:
                error.at(each.place)
            raise
        if change is not None:
            change.place = each.place
            yield change

    long = takes_long([each.table for each in operations])
    changes = await off_loop(context, work, long=long)
    if any(each.verb == "update" for each in operations):
        await read_stored_parts(context, changes)
    return changes


def _plain(operation: Operation, context: Context) -> Change:
    """Return the change of an operation that does not use natural keys."""
    if operation.entity is not None:
        operation.outcome = operation.entity
        return change_of(operation.entity, context.actor.tenant, operation.expected_version)
    if operation.verb == "update":
        change = change_from(operation.entity_class, operation.ref_id, operation.values)
        change.expected_version = operation.expected_version
        change.compared = operation.expected_version is not None
        return change
    return removal(operation)
