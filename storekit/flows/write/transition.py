"""Move the state of a record, as its class's state machine allows."""

from __future__ import annotations

from typing import TypeVar

from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import checked, whole_row
from storekit.flows.write.operations import Operation
from storekit.flows.write.reason import check_reason
from storekit.ids import new_id
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change
from storekit.model.save.load import committed_from
from storekit.model.table.machine import state_of
from storekit.model.values.limits import check_version

E = TypeVar("E", bound=Entity)


async def transition(
    context: Context,
    entity: type[E],
    ref_id: str,
    to: str,
    reason: str | None = None,
    expected_version: int | None = None,
) -> E:
    """Move one record to another state, and return the changed record. One Postgres trip."""
    table = entity.storekit_table
    context.actor.require_write(table)
    checked([ref_id])
    state = state_of(table, to)
    check_version(expected_version)
    check_reason(reason, entity)
    await context.ports.ready(documents=False, blobs=False)
    asked = calls.Move(table.name, ref_id, state, reason, expected_version)
    rows = await calls.transition(context, new_id(), asked, whole_row(table, [ref_id]))
    return committed_from(entity, context.actor.tenant, rows, ref_id, rows[0]["version"])


def move(operation: Operation) -> Change:
    """Return the change of a transition in a unit of work."""
    owner, expected = operation.entity_class.__name__, operation.expected_version
    change = Change(owner, operation.table, "transition", operation.ref_id, expected_version=expected)
    change.columns = change.declared = dict(operation.values)
    return change
