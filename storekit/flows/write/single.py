"""Execute operations in one write, which is as safe to repeat as a save."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from storekit.errors import StorekitError
from storekit.flows.context import Context
from storekit.flows.replies import Replayed
from storekit.flows.write.attempt import carry_out
from storekit.flows.write.attribution import attribute
from storekit.flows.write.natural_keys import raced
from storekit.flows.write.operations import Operation, note_identities, note_requests
from storekit.flows.write.overtaken import Overtaken, Uploads, repeated
from storekit.flows.write.planning import planned
from storekit.flows.write.resolve import resolve
from storekit.flows.write.unresolved import remember, resolve_former_of_key
from storekit.model.declare.entity import Entity
from storekit.model.save.memory import note_saved


async def carry_out_operations(
    context: Context, operations: Sequence[Operation], key: str | None = None
) -> Replayed | None:
    """Execute some operations, all or nothing; decide them again if another writer was faster.

    One Postgres trip, or two with one wave between them if there are new parts; one more for natural keys.

    Returns:
        What an earlier write of the same request stored, if it had the same key; nothing was written then.
    """
    if not operations:
        return None
    entities = [each.entity for each in operations if each.entity is not None]
    save = partial(_carry_out, context, operations, entities, key)
    return await repeated(context, save, partial(remember, context, entities, key))


async def _carry_out(
    context: Context,
    operations: Sequence[Operation],
    entities: Sequence[Entity],
    key: str | None,
    uploads: Uploads,
) -> Replayed | None:
    await resolve_former_of_key(context, entities, key)
    changes = await resolve(context, operations, key=key)
    again = any(change.identity is not None for change in changes)
    plan = await planned(context, changes)
    note_identities(operations, changes, key)
    # With a key even a request that changes nothing is sent: its records may be those of the earlier request.
    # Objects that are stored and unchanged need no answer, unless an earlier run with the key saved them.
    if not plan.rows and (key is None or (not again and all(each.verb == "save" for each in operations))):
        await uploads.drop()
        return None
    holders = [change.holder for change in changes if change.holder is not None]
    note = partial(remember, context, holders, key)
    try:
        done = await carry_out(context, plan, key, note, uploads=uploads)
    except StorekitError as error:
        if raced(operations, error):
            raise Overtaken from error
        await attribute(context, changes, error)
        raise
    if isinstance(done, Replayed):
        return done
    note_saved(changes, plan, done.saved)
    note_requests(operations, key)
    return None
