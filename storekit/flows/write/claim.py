"""Take records of a queue: move them to another state, each by one worker only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from storekit.errors import UsageError, ValidationError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.find import LONGEST
from storekit.flows.read.load import whole_row
from storekit.flows.write.reason import check_reason
from storekit.ids import new_id
from storekit.model.declare.entity import Entity
from storekit.model.find.orders import order_of
from storekit.model.find.query import conditions_of
from storekit.model.save.load import committed_from
from storekit.model.table.machine import state_of
from storekit.model.table.table import Table
from storekit.model.values.limits import check_limit
from storekit.ports.statements import Claim, Condition, Search, Written

E = TypeVar("E", bound=Entity)


async def claim(
    context: Context,
    entity: type[E],
    where: Mapping[str, Any],
    to: str,
    limit: int,
    order_by: str | Sequence[str] | None = None,
    lease: Mapping[str, timedelta] | None = None,
    reason: str | None = None,
) -> list[E]:
    """Move records that no other call has locked to a state, and return them. One Postgres trip."""
    table = entity.storekit_table
    context.actor.require_write(table)
    state = state_of(table, to)
    check_limit(limit, LONGEST)
    check_reason(reason, entity)
    until = None if lease is None else _lease(table, lease)
    conditions = conditions_of(entity, where, deleted=False)
    _check_states(entity, conditions, state)
    queues = [_queue(entity, conditions, order_by, limit)]
    if until is not None:
        queues.insert(0, _queue(entity, _expired(table, conditions, state, until[0]), until[0], limit))
    await context.ports.ready(documents=False, blobs=False)
    assert table.machine is not None  # noqa: S101 it has a state
    write_id, whole = new_id(), whole_row(table, ())
    values = {table.machine.field: state}
    origin = context.actor.origin(reason)
    statement = Claim(table.name, origin, write_id, tuple(queues), values, limit, until)
    after = Written(table.name, whole.columns, whole.parts, write_id)
    reply, rows = await calls.claim(context, statement, after)
    if reply is None:
        return []
    found = {row["ref_id"]: row for row in rows}
    tenant = context.actor.tenant
    return [
        committed_from(entity, tenant, [found[ref_id]], ref_id, version)
        for _, ref_id, version in reply["rows"]
    ]


def _queue(
    entity: type[Entity],
    conditions: tuple[Condition, ...],
    order_by: str | Sequence[str] | None,
    limit: int,
) -> Search:
    """Return a search of the records to take, from an index that contains no others.

    Raises:
        UsageError: no index begins with the conditions; otherwise each claim would read all records that were
            taken before.
    """
    order = order_of(entity, order_by, conditions)
    if not order.narrowed:
        machine = entity.storekit_table.machine
        field = machine.field if machine else ""
        raise UsageError(
            f"{entity.__name__}: no index serves this claim; declare one that begins with the state, for "
            f'example indexes=[index("{field}", "created_on")], and let where give one state'
        )
    name = entity.storekit_table.name
    return Search(name, (), (), conditions, order.columns, limit, ties=order.ties)


def _check_states(entity: type[Entity], conditions: Sequence[Condition], to: str) -> None:
    """Check that the records to take are in states from which the move is allowed, so that none is refused.

    Raises:
        UsageError: `where` gives no state, or one from which the state machine does not allow the move.
    """
    machine = entity.storekit_table.machine
    assert machine is not None  # noqa: S101 the caller has checked it
    states: set[str] = set()
    for each in conditions:
        if each.column == machine.field and each.operator in {"=", "in"}:
            states.update(each.values if each.operator == "=" else each.values[0])
    if not states:
        raise UsageError(
            f"{entity.__name__}: where must give the state of the records to claim, as in "
            f'{{"{machine.field}": "{next(iter(machine.allowed))}"}}'
        )
    for state in sorted(states):
        allowed = machine.allowed.get(state, ())
        if to not in allowed:
            raise UsageError(
                f"{entity.__name__}: the state machine does not allow {state} to {to}, only "
                f"{', '.join(sorted(allowed)) or 'nothing'}"
            )


def _lease(table: Table, lease: Mapping[str, timedelta]) -> tuple[str, timedelta]:
    """Check a lease: one column of datetimes, and how long the records stay with the caller."""
    if not isinstance(lease, Mapping) or len(lease) != 1:
        raise UsageError('lease must map one column to a timedelta: {"leased_until": timedelta(minutes=5)}')
    ((name, duration),) = lease.items()
    column = table.columns.get(name) if isinstance(name, str) else None
    if column is None or column.sql != "timestamptz":
        raise ValidationError("a lease needs a datetime column of the class", field=f"{name!s:.60}")
    if not isinstance(duration, timedelta) or not timedelta() < duration <= timedelta(days=365):
        raise ValidationError("a lease must be a timedelta of at most 365 days", field=f"{name!s:.60}")
    return str(name), duration


def _expired(table: Table, conditions: Sequence[Condition], to: str, lease: str) -> tuple[Condition, ...]:
    """Return the conditions of records that were claimed before and whose lease has ended."""
    assert table.machine is not None  # noqa: S101 the caller has checked it
    field = table.machine.field
    state = next(each for each in conditions if each.column == field)
    others = [each for each in conditions if each.column != field]
    taken = replace(state, operator="=", values=(to,))
    return taken, *others, Condition(lease, "timestamptz", "past")
