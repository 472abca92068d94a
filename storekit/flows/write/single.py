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
from storekit.flows.write.operations import RACES, Operation
from storekit.flows.write.planning import planned
from storekit.flows.write.resolve import resolve
from storekit.flows.write.unresolved import remember, resolve_former_of_key
from storekit.model.save.memory import note_saved


async def carry_out_operations(
    context: Context, operations: Sequence[Operation], key: str | None = None
) -> Replayed | None:
    """Execute some operations, all or nothing. If another writer used a natural key first, look it up again.

    One Postgres trip, or two with one wave between them if there are new parts; one more for natural keys.

    Returns:
        What an earlier write of the same request stored, if it had the same key; nothing was written then.
    """
    if not operations:
        return None
    entities = [each.entity for each in operations if each.entity is not None]
    for left in reversed(range(RACES)):
        await resolve_former_of_key(context, entities, key)
        changes = await resolve(context, operations, whole=key is not None)
        plan = await planned(context, changes)
        # With a key even a request that changes nothing is sent: its records may be those of the earlier
        # request. Objects that are stored and unchanged need no answer.
        if not plan.rows and (key is None or all(each.verb == "save" for each in operations)):
            return None
        holders = [change.holder for change in changes if change.holder is not None]
        try:
            done = await carry_out(context, plan, key, partial(remember, context, holders, key))
        except StorekitError as error:
            if not left or not raced(operations, error):
                await attribute(context, changes, error)
                raise
            continue
        if isinstance(done, Replayed):
            return done
        note_saved(changes, plan, done.saved)
        return None
    raise AssertionError  # the last attempt returns or raises
