"""Write some fields of records without loading them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from storekit.errors import StorekitError, ValidationError
from storekit.flows.context import Context
from storekit.flows.read.load import found_rows, get, whole_row
from storekit.flows.write.attempt import Committed, carry_out
from storekit.flows.write.attribution import attribute
from storekit.flows.write.operations import check_update
from storekit.flows.write.planning import documents_of, off_loop, planned
from storekit.model.declare.entity import Entity
from storekit.model.save.change import Change
from storekit.model.save.changes import change_from
from storekit.model.save.load import committed_from, visible
from storekit.model.values.limits import check_version

E = TypeVar("E", bound=Entity)


async def update(
    context: Context,
    entity: type[E],
    ref_id: str,
    values: Mapping[str, Any],
    expected_version: int | None = None,
) -> E:
    """Write some fields of a record and return it.

    One Postgres trip, or two with one wave between them if parts are written; one more, and one MongoDB read,
    if a document links a blob that changes.
    """
    change = await _change_in(context, entity, ref_id, values, check_version(expected_version))
    if change.empty:
        return await get(context, entity, ref_id)
    return (await _carry_out(context, entity, [change]))[0]


async def update_many(context: Context, entity: type[E], values: Mapping[str, Mapping[str, Any]]) -> list[E]:
    """Write some fields of many records, all or nothing. The trips of one update."""
    if not isinstance(values, Mapping):
        raise ValidationError("it must map each ref_id to the fields to write", field="values")
    changes: list[Change] = []
    for i, (ref_id, each) in enumerate(values.items()):
        try:
            changes.append(await _change_in(context, entity, ref_id, each))
            changes[-1].place = i
        except StorekitError as error:
            error.at(i)
            raise
    return await _carry_out(context, entity, changes) if changes else []


async def read_stored_parts(context: Context, changes: Sequence[Change]) -> None:
    """Read the stored parts that the plan of partial updates needs. One trip if it needs any, else none.

    The update then requires the version that was read: otherwise a document could be written with links to
    blobs that its row no longer has.
    """
    wanted = [change for change in changes if change.needs_stored_parts]
    if not wanted:
        return
    rows = await found_rows(context, [(change.table, change.ref_id) for change in wanted])
    for change, found in zip(wanted, rows, strict=True):
        row = visible(change.table, context.actor.tenant, found, change.ref_id)
        parts = {name: row[f"part:{name}"] for name in change.table.parts}
        change.stored = {name: part for name, part in parts.items() if part is not None}
        if change.expected_version is None:
            change.expected_version = row["version"]


async def _change_in(
    context: Context,
    entity: type[Entity],
    ref_id: str,
    values: Mapping[str, Any],
    expected_version: int | None = None,
) -> Change:
    check_update(entity, ref_id, values)
    long = any(values.get(name) is not None for name in documents_of(entity.storekit_table))
    change = await off_loop(context, lambda: change_from(entity, ref_id, values), long=long)
    change.expected_version = expected_version
    return change


async def _carry_out(context: Context, entity: type[E], changes: Sequence[Change]) -> list[E]:
    table = entity.storekit_table
    try:
        await read_stored_parts(context, changes)
        plan = await planned(context, changes)
        ref_ids = [change.ref_id for change in changes]
        done = await carry_out(context, plan, None, lambda _: None, [whole_row(table, ref_ids)])
    except StorekitError as error:
        await attribute(context, changes, error)
        raise
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    # the rows were read in the transaction of the commit, so they contain no later change of another writer
    rows = {row["ref_id"]: [row] for row in done.rows[0]}
    versions, tenant = done.saved.versions, context.actor.tenant
    return [committed_from(entity, tenant, rows.get(r, []), r, versions[table.name, r]) for r in ref_ids]
