"""Remember writes whose outcome is unknown, and settle them before the next save.

A commit whose reply was lost may have happened. Saving the same object again without knowing would insert it
twice, or report a conflict with the version that the object itself has written. So the id of the write is
stored where the next save of the same object or key finds it: in the object, and by key in the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from storekit.errors import OutcomeUnknown, Unavailable, UsageError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import found_rows
from storekit.model.declare.entity import Entity
from storekit.model.save.load import entity_from, visible
from storekit.model.save.memory import Undecided, decided, leave_undecided, take_over, undecided


def remember(context: Context, entities: Sequence[Entity], key: str | None, write_id: UUID) -> None:
    """Store the id of an undecided write where the next save of the same object or key finds it."""
    leave_undecided(entities, (context.actor.tenant, write_id))
    if key is not None:
        context.ports.unresolved.add(context.actor.tenant, key, write_id)


async def resolve_former_of_key(context: Context, entities: Sequence[Entity], key: str | None) -> None:
    """Settle earlier writes of these objects, but leave the objects of this key's own write as they were.

    If that write was committed, the key answers so, and its replay fills the objects. If they were refreshed
    here, the request would be another one: to change stored records instead of inserting new ones.
    """
    tenant = context.actor.tenant
    if key is not None and (write_id := context.ports.unresolved.take(tenant, key)):
        own = undecided(entities).get((tenant, write_id), [])
        try:
            await _decide(context, (tenant, write_id), [])
        except Unavailable:
            context.ports.unresolved.add(tenant, key, write_id)
            raise
        decided(own)
    await resolve_former(context, entities)


async def resolve_former(context: Context, entities: Sequence[Entity], key: str | None = None) -> None:
    """Settle earlier writes of these objects, or of this key, whose outcome is unknown.

    Raises:
        UsageError: an earlier write was made in another tenant's scope.
        OutcomeUnknown: see `_decide`.
    """
    tenant, former = context.actor.tenant, undecided(entities)
    if key is not None and (write_id := context.ports.unresolved.take(tenant, key)):
        former.setdefault((tenant, write_id), [])
    for write, several in former.items():
        if write[0] != tenant:
            raise UsageError(
                f"an earlier save of this object for tenant {write[0]} has an unknown outcome; "
                "save it in the scope of that tenant first"
            )
        await _decide(context, write, several)


async def _decide(context: Context, write: Undecided, entities: Sequence[Entity]) -> None:
    """Abort an earlier write; if it was committed, refresh the objects from the stored records.

    Raises:
        OutcomeUnknown: the ledger has deleted the row of the write because of its age. It is raised once: the
            next save writes the object without checking.
    """
    decision = await calls.abandon(context, write[1])
    # an aborted write changes nothing in the objects, so their next save still writes the same changes
    if decision == "committed" and entities:
        rows = await found_rows(context, [(e.storekit_table, e.ref_id) for e in entities])
        for entity, row in zip(entities, rows, strict=True):
            found = visible(entity.storekit_table, context.actor.tenant, row, entity.ref_id)
            take_over(entity, entity_from(type(entity), found))
    decided(entities)
    if decision == "unknown":
        raise OutcomeUnknown(write[1])
