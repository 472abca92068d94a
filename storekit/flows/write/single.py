"""What was asked, in one write of its own: as safe to repeat as any save."""

from __future__ import annotations

from collections.abc import Sequence

from storekit.errors import Conflict, ConstraintViolation, NotFound, StorekitError
from storekit.flows.context import Context
from storekit.flows.write.attempt import Committed, Remember, carry_out
from storekit.flows.write.attribution import blame
from storekit.flows.write.operations import Asked, resolve
from storekit.flows.write.planning import planned
from storekit.flows.write.save import note_all
from storekit.flows.write.unresolved import remember, resolve_former
from storekit.model.table.keys import natural_key_name

RACES = 10
"""Attempts to resolve natural keys; each time one of the rivals has committed."""


async def carry_out_asked(context: Context, asked: Sequence[Asked]) -> None:
    """Carry out what was asked, in one write; natural keys that others race for are resolved anew.

    One Postgres trip, two around one wave with parts, and one before if natural keys decide.
    """
    if not asked:
        return
    entities = [each.entity for each in asked if each.entity is not None]
    for left in reversed(range(RACES)):
        await resolve_former(context, entities)
        changes = await resolve(context, asked)
        plan = await planned(context, changes)
        if not plan.rows:
            return
        holders = [change.holder for change in changes if change.holder is not None]
        try:
            note: Remember = remember(context, holders)
            done = await carry_out(context, plan, None, note)
        except StorekitError as error:
            if not left or not raced(asked, error):
                await blame(context, changes, error)
                raise
            continue
        assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
        note_all(changes, context, plan, done)
        return


def raced(asked: Sequence[Asked], error: StorekitError) -> bool:
    """Whether somebody else has changed since the look-up what a natural key stands for."""
    keyed = [each for each in asked if each.keyed]
    if isinstance(error, ConstraintViolation):
        return any(error.constraint == natural_key_name(each.table) for each in keyed)
    return isinstance(error, Conflict | NotFound) and error.ref_id in {
        each.outcome.ref_id for each in keyed if each.outcome is not None
    }
