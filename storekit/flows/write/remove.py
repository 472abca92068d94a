"""Delete and restore: hide a soft-deletable record and bring it back, remove any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from storekit.errors import UsageError
from storekit.flows.context import Context
from storekit.flows.read.load import checked, whole_row
from storekit.flows.write.attempt import Committed, carry_out
from storekit.model.declare.entity import Entity
from storekit.model.save.changes import Change
from storekit.model.save.load import entity_from, visible
from storekit.model.save.planner import make_plan
from storekit.model.values.limits import check_version
from storekit.ports.statements import Select

E = TypeVar("E", bound=Entity)


async def delete(
    context: Context, entity: type[Entity], ref_id: str, expected_version: int | None = None
) -> None:
    """Delete one record; its parts follow later. One Postgres trip."""
    await _carry_out(context, entity, "delete", ref_id, expected_version)


async def restore(context: Context, entity: type[E], ref_id: str, expected_version: int | None = None) -> E:
    """Bring a hidden record back and answer it. One Postgres trip."""
    table = entity.storekit_table
    after = [whole_row(table, checked([ref_id]))]
    done = await _carry_out(context, entity, "restore", ref_id, expected_version, after)
    return entity_from(entity, visible(table, context.actor.tenant, done.rows[0], ref_id))


def removal(
    entity: type[Entity], operation: Literal["delete", "restore"], ref_id: str, expected_version: int | None
) -> Change:
    """Describe what is to be done. No I/O.

    Raises:
        UsageError: the class is not deleted or restored so.
        ValidationError: what is no ref_id or no version.
    """
    table, owner = entity.storekit_table, entity.__name__
    if operation == "delete" and not (table.mutable or table.soft_delete):
        raise UsageError(f"{owner} is append-only; derive it from SoftDelete or Mutable")
    if operation == "restore" and not table.soft_delete:
        raise UsageError(f"{owner} is not hidden by delete; derive it from SoftDelete")
    checked([ref_id])
    return Change(owner, table, operation, ref_id, expected_version=check_version(expected_version))


async def _carry_out(
    context: Context,
    entity: type[Entity],
    operation: Literal["delete", "restore"],
    ref_id: str,
    expected_version: int | None,
    after: Sequence[Select] = (),
) -> Committed:
    change = removal(entity, operation, ref_id, expected_version)
    done = await carry_out(context, make_plan([change], {}, {}), None, lambda _: None, after)
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    return done
