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
from storekit.flows.write.reason import check_reason
from storekit.flows.write.unresolved import remember, resolve_former
from storekit.flows.write.upload import Progress
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change
from storekit.model.save.load import committed_from, visible
from storekit.model.save.memory import check_replayed, note_replayed, note_saved
from storekit.model.values.limits import check_text, check_version

E = TypeVar("E", bound=Entity)
_LONGEST_KEY = 255


async def save(
    context: Context,
    entity_class: type[E],
    entities: Sequence[E],
    key: str | None = None,
    expected_version: int | None = None,
    reason: str | None = None,
) -> list[E]:
    """Save objects, all or nothing.

    One Postgres trip if no part changed, else two with one wave between them; none if nothing changed.
    """
    check_entities(entity_class, entities)
    check_key(key)
    check_reason(reason, entity_class)
    check_replayed(entities, key)
    if expected_version is not None:
        check_version(expected_version)
    await resolve_former(context, entities, key)
    changes = await changes_of(context, entities, expected_version)
    return await save_changes(context, entities, changes, key, reason)


async def save_changes(
    context: Context,
    entities: Sequence[E],
    changes: Sequence[Change],
    key: str | None,
    reason: str | None = None,
    progress: Progress | None = None,
) -> list[E]:
    """Save the changes of some objects in one write."""
    for change in changes:
        change.reason = reason
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
        return await _load_replayed(context, entities, done, str(key))
    note_saved(changes, plan, done.saved)
    return list(entities)


def check_entities(entity_class: type[Entity], entities: Sequence[Entity]) -> None:
    """Check that all are records of the class, and that none comes twice.

    One write can change a row once: a second change would not have the version that the first one set.
    """
    if entities and isinstance(entities[0], tuple):
        raise UsageError("the call takes several records; give a list of them")
    for i, entity in enumerate(entities):
        # a derived class may have a table of its own, in which this repository would not find the record
        own = isinstance(entity, entity_class) and entity.storekit_table is entity_class.storekit_table
        if not own:
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


async def _load_replayed(context: Context, entities: Sequence[E], done: Replayed, key: str) -> list[E]:
    """Load the records that the earlier write of the same request stored.

    A record that it did not write, because nothing had changed, has the same ref_id in both requests.
    """
    stand_in = [
        (entity.storekit_table, done.rows[i][0] if i in done.rows else entity.ref_id)
        for i, entity in enumerate(entities)
    ]
    for entity, (_, ref_id) in zip(entities, stand_in, strict=True):
        if entity.ref_id != ref_id:
            note_replayed(entity, key, ref_id)
    rows = await found_rows(context, stand_in)
    tenant, replayed = context.actor.tenant, []
    for entity, (table, ref_id), found in zip(entities, stand_in, rows, strict=True):
        row = visible(table, tenant, found, ref_id)
        replayed.append(committed_from(type(entity), tenant, [row], ref_id, row["version"]))
    return replayed
