"""Turn operations into changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from storekit.errors import Conflict, NotFound, StorekitError
from storekit.flows.context import Context
from storekit.flows.write.natural_keys import Keys, look_up_keys
from storekit.flows.write.operations import Operation
from storekit.flows.write.planning import off_loop, takes_long
from storekit.flows.write.remove import removal
from storekit.flows.write.transition import move
from storekit.flows.write.update import Judged, change_to, read_judged, read_stored_parts
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change, Request
from storekit.model.save.changes import change_of
from storekit.model.save.memory import request_of


async def resolve(
    context: Context,
    operations: Sequence[Operation],
    before: Sequence[Operation] = (),
    *,
    key: str | None = None,
) -> list[Change]:
    """Return the changes that result from some operations.

    One trip if an operation uses natural keys, one if an update changes a blob that a document links, one if
    the validators of an updated class look at other fields; else none.

    Args:
        before: operations of the same unit that were resolved earlier and that a look-up cannot find yet.
        key: with an idempotency key there is a change for each operation, even if its record exists and is
            ignored: the fingerprint of a request covers all of it.

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
            whole = key is not None
            change = keys.change(each, context, whole=whole) if keyed else _plain(each, context, found, key)
        except StorekitError as error:
            if len(operations) > 1 or each.place:
                error.at(each.place)
            raise
        if change is not None:
            change.place, change.reason = each.place, each.reason
            if key is not None and each.entity is not None:
                change.identity = _earlier(each.entity, change, context, key)
            yield change

    long = takes_long([each.table for each in operations])
    changes = await off_loop(context, work, long=long)
    if updates:
        await read_stored_parts(context, changes)
    return changes


def _earlier(entity: Entity, change: Change, context: Context, key: str) -> Any:
    """Return the part of an object that the fingerprint of an earlier unit with the key covers.

    The object is stored by now, so its change differs from that of the earlier unit. If the object was
    changed since, it is another request.
    """
    earlier = request_of(entity, key)
    if earlier is None or entity.version is None:
        return None
    own = change if change.holder is entity else change_of(entity, context.actor.tenant)
    return earlier if own.empty else None


def _plain(operation: Operation, context: Context, found: Judged, key: str | None) -> Change:
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
        return _update(operation, context, found, key)
    return removal(operation)


def _update(operation: Operation, context: Context, found: Judged, key: str | None) -> Change:
    """Return the change of a partial update.

    If an earlier run with the key was committed, the record may have passed the expected version, or may no
    longer exist. The ledger then decides by the key, so the update is sent without a check here. Otherwise
    the update is refused.
    """
    what = operation.entity_class, operation.ref_id, operation.values
    try:
        return change_to(context, *what, found, operation.expected_version)
    except (Conflict, NotFound) as error:
        if key is None:
            raise
        try:
            change = change_to(context, *what, {}, operation.expected_version)
        except StorekitError:
            raise error from None
        if isinstance(error, Conflict):
            change.expected_version = error.expected
        return change
