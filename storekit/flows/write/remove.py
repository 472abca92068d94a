"""Delete and restore records: a soft-deletable record is hidden and shown again, any other is removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from storekit.flows.context import Context
from storekit.flows.read.load import checked, whole_row
from storekit.flows.write.attempt import Committed, carry_out
from storekit.flows.write.operations import Operation
from storekit.flows.write.reason import check_reason
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change
from storekit.model.save.load import committed_from
from storekit.model.save.planner import make_plan
from storekit.ports.statements import Select

E = TypeVar("E", bound=Entity)


async def delete(
    context: Context,
    entity: type[Entity],
    ref_id: str,
    expected_version: int | None = None,
    reason: str | None = None,
) -> None:
    """Delete one record; its parts are queued for removal. One Postgres trip."""
    check_reason(reason, entity)
    operation = Operation("delete", entity, ref_id, expected_version=expected_version, reason=reason)
    await _carry_out(context, operation)


async def restore(
    context: Context,
    entity: type[E],
    ref_id: str,
    expected_version: int | None = None,
    reason: str | None = None,
) -> E:
    """Restore a hidden record and return it. One Postgres trip."""
    check_reason(reason, entity)
    table = entity.storekit_table
    after = [whole_row(table, checked([ref_id]))]
    operation = Operation("restore", entity, ref_id, expected_version=expected_version, reason=reason)
    done = await _carry_out(context, operation, after)
    version = done.saved.versions[table.name, ref_id]
    return committed_from(entity, context.actor.tenant, done.rows[0], ref_id, version)


def removal(operation: Operation) -> Change:
    """Return the change of a delete or restore."""
    verb: Literal["delete", "restore"] = "delete" if operation.verb == "delete" else "restore"
    owner, expected = operation.entity_class.__name__, operation.expected_version
    change = Change(owner, operation.table, verb, operation.ref_id, expected_version=expected)
    change.reason = operation.reason
    return change


async def _carry_out(context: Context, operation: Operation, after: Sequence[Select] = ()) -> Committed:
    # an unknown outcome is not remembered: no object can store it, and a repeated
    # delete or restore raises NotFound
    done = await carry_out(context, make_plan([removal(operation)]), None, lambda _: None, after)
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    return done
