"""Execute operations in one write, which is as safe to repeat as a save."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from storekit.errors import StorekitError
from storekit.flows.context import Context
from storekit.flows.write.attempt import Committed, carry_out
from storekit.flows.write.attribution import attribute
from storekit.flows.write.natural_keys import raced
from storekit.flows.write.operations import Operation
from storekit.flows.write.overtaken import Overtaken, Uploads, repeated
from storekit.flows.write.planning import planned
from storekit.flows.write.resolve import resolve
from storekit.flows.write.unresolved import remember, resolve_former
from storekit.model.declare.entity import Entity
from storekit.model.save.memory import note_saved


async def carry_out_operations(context: Context, operations: Sequence[Operation]) -> None:
    """Execute some operations, all or nothing; look the natural keys up again if another writer was faster.

    One Postgres trip, or two with one wave between them if there are new parts; one more for natural keys.
    """
    if not operations:
        return
    entities = [each.entity for each in operations if each.entity is not None]
    save = partial(_carry_out, context, operations, entities)
    await repeated(context, save, partial(remember, context, entities, None))


async def _carry_out(
    context: Context, operations: Sequence[Operation], entities: Sequence[Entity], uploads: Uploads
) -> None:
    await resolve_former(context, entities)
    changes = await resolve(context, operations)
    plan = await planned(context, changes)
    if not plan.rows:
        await uploads.drop()
        return
    holders = [change.holder for change in changes if change.holder is not None]
    note = partial(remember, context, holders, None)
    try:
        done = await carry_out(context, plan, None, note, uploads=uploads)
    except StorekitError as error:
        if raced(operations, error):
            raise Overtaken from error
        await attribute(context, changes, error)
        raise
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    note_saved(changes, plan, done.saved)
