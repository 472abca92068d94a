"""Save objects: write their changes in one write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from storekit.errors import StorekitError, UsageError, ValidationError
from storekit.flows.context import Context
from storekit.flows.read.load import found_rows
from storekit.flows.replies import Replayed
from storekit.flows.write.attempt import carry_out
from storekit.flows.write.attribution import attribute
from storekit.flows.write.planning import changes_of, planned
from storekit.flows.write.unresolved import remember, resolve_former
from storekit.flows.write.upload import Progress
from storekit.model.declare.entity import Entity
from storekit.model.save.arguments import commit_operations
from storekit.model.save.change import Change
from storekit.model.save.load import committed_from, visible
from storekit.model.save.memory import is_stored, note_saved
from storekit.model.save.plan import Plan, Write
from storekit.model.values.limits import check_text, check_version

E = TypeVar("E", bound=Entity)
_LONGEST_KEY = 255


async def save(
    context: Context,
    entity_class: type[E],
    entities: Sequence[E],
    key: str | None = None,
    expected_version: int | None = None,
) -> list[E]:
    """Save objects, all or nothing.

    One Postgres trip if no part changed, else two with one wave between them; none if nothing changed.
    """
    check_entities(entity_class, entities)
    check_key(key)
    if expected_version is not None:
        check_version(expected_version)
    await resolve_former(context, entities, key)
    changes = await changes_of(context, entities, expected_version)
    return await save_changes(context, entities, changes, key)


async def save_changes(
    context: Context,
    entities: Sequence[E],
    changes: Sequence[Change],
    key: str | None,
    progress: Progress | None = None,
) -> list[E]:
    """Save the changes of some objects in one write."""
    plan = await planned(context, changes)
    if not plan.rows:
        return list(entities)
    try:
        done = await carry_out(
            context, plan, key, partial(remember, context, entities, key), progress=progress
        )
    except StorekitError as error:
        await attribute(context, changes, error)
        raise
    if isinstance(done, Replayed):
        return await _load_replayed(context, plan, entities, done)
    note_saved(changes, plan, done.saved)
    return list(entities)


def check_entities(entity_class: type[Entity], entities: Sequence[Entity]) -> None:
    """Check that all are records of the class, and that none comes twice.

    One write can change a row once: a second change would not have the version that the first one set.
    """
    if entities and isinstance(entities[0], tuple):
        raise UsageError("the call takes several records; give a list of them")
    for i, entity in enumerate(entities):
        if not isinstance(entity, entity_class):
            error = UsageError(f"this repository takes {entity_class.__name__}, not {type(entity).__name__}")
            raise error.at(i) if len(entities) > 1 else error
    if len({entity.ref_id for entity in entities}) < len(entities):
        raise UsageError("duplicate record in the list; pass each record once")


def check_key(key: str | None) -> None:
    """Check an idempotency key."""
    if key is None:
        return
    if not isinstance(key, str):
        raise ValidationError(f"it must be str, not {type(key).__name__}", field="idempotency_key")
    if not 1 <= len(check_text(key, "idempotency_key")) <= _LONGEST_KEY:
        raise ValidationError(f"it must have 1 to {_LONGEST_KEY} characters", field="idempotency_key")


async def _load_replayed(context: Context, plan: Plan, entities: Sequence[E], done: Replayed) -> list[E]:
    """Load the records that the earlier write of the same request stored.

    Equal requests insert the same rows in the same order, so new rows are matched by their position. Rows
    that were stored before have the same ref_id in both requests, even if the earlier write did not change
    them.
    """
    mine = [row["ref_id"] for group in commit_operations(Write.of(plan)) for row in group["rows"]]
    known = {entity.ref_id for entity in entities if is_stored(entity)}
    made = [ref_id for _, ref_id in done.rows if ref_id not in known]
    winner = dict(zip([ref_id for ref_id in mine if ref_id not in known], made, strict=True))
    stand_in = [(e.storekit_table, winner.get(e.ref_id, e.ref_id)) for e in entities]
    rows = await found_rows(context, stand_in)
    tenant, replayed = context.actor.tenant, []
    for entity, (table, ref_id), found in zip(entities, stand_in, rows, strict=True):
        row = visible(table, tenant, found, ref_id)
        replayed.append(committed_from(type(entity), tenant, [row], ref_id, row["version"]))
    return replayed
