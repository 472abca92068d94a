"""Former writes whose outcome this process does not know: kept in mind, and decided before the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from storekit.errors import OutcomeUnknown, UsageError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import found_rows
from storekit.flows.write.attempt import Remember
from storekit.model.declare.entity import Entity, memory_of
from storekit.model.save.load import entity_from, take_over, visible


def remember(context: Context, entities: Sequence[Entity], key: str | None = None) -> Remember:
    """Keep the id of an undecided write where the next save of the same object or key looks for it."""

    def note(write_id: UUID) -> None:
        for entity in entities:
            memory_of(entity).undecided = context.actor.tenant, write_id
        if key is not None:
            context.ports.unresolved.add(context.actor.tenant, key, write_id)

    return note


async def resolve_former(context: Context, entities: Sequence[Entity], key: str | None = None) -> None:
    """Decide former writes of these objects, or of this key, whose outcome this process does not know."""
    undecided = {former for entity in entities if (former := memory_of(entity).undecided)}
    if key is not None and (write_id := context.ports.unresolved.take(context.actor.tenant, key)):
        undecided.add((context.actor.tenant, write_id))
    for former in undecided:
        if former[0] != context.actor.tenant:
            raise UsageError(
                f"a save of this object for tenant {former[0]} has no known outcome; save it there first"
            )
        await _decide(context, former, [e for e in entities if memory_of(e).undecided == former])


def undecided(entities: Sequence[Entity]) -> list[Callable[[], None]]:
    """Give what takes back the decisions that a transaction is about to make, for when it is undone."""

    def restore(entity: Entity, former: tuple[UUID, UUID]) -> None:
        memory_of(entity).undecided = former

    pairs = [(entity, memory_of(entity).undecided) for entity in entities]
    return [partial(restore, entity, former) for entity, former in pairs if former]


async def _decide(context: Context, former: tuple[UUID, UUID], entities: Sequence[Entity]) -> None:
    """Let objects whose write had committed after all stand for the records that it made.

    Raises:
        OutcomeUnknown: the write is too old for the ledger to know; this is said once.
    """
    reply = await calls.abandon(context, former[1])
    if reply["outcome"] == "committed":
        rows = await found_rows(context, [(e.storekit_table, e.ref_id) for e in entities])
        for entity, row in zip(entities, rows, strict=True):
            found = visible(entity.storekit_table, context.actor.tenant, row, entity.ref_id)
            take_over(entity, entity_from(type(entity), found))
    for entity in entities:
        memory_of(entity).undecided = None
    if reply["outcome"] == "unknown":
        raise OutcomeUnknown(former[1])
