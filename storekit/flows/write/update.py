"""Write some fields of records without loading them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from storekit.errors import Conflict, StorekitError, ValidationError
from storekit.flows.context import Context
from storekit.flows.read.load import found_rows, get, whole_row
from storekit.flows.write.attempt import Committed, carry_out
from storekit.flows.write.attribution import attribute
from storekit.flows.write.operations import check_update
from storekit.flows.write.overtaken import Overtaken, Uploads, repeated
from storekit.flows.write.planning import documents_of, off_loop, planned
from storekit.flows.write.reason import check_reason
from storekit.model.declare.entity import Entity
from storekit.model.declare.validators import looks_at_record
from storekit.model.save.change import Change
from storekit.model.save.load import committed_from, judged_from, visible
from storekit.model.save.updates import change_from, held
from storekit.model.values.limits import check_version

E = TypeVar("E", bound=Entity)
Judged = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
"""Rows that were read to judge updates by the whole record, by table and ref_id."""


async def update(
    context: Context,
    entity: type[E],
    ref_id: str,
    values: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str | None = None,
) -> E:
    """Write some fields of a record and return it.

    One Postgres trip, or two with one wave between them if parts are written; one more, and one MongoDB read,
    if a document links a blob that changes; one more if a validator of the class looks at other fields.
    """
    check_update(entity, ref_id, values)
    check_version(expected_version)
    check_reason(reason, entity)
    values = held(values)

    async def work(uploads: Uploads) -> E:
        judged = await read_judged(context, [(entity, ref_id, values)])
        change = await _change_in(context, entity, ref_id, values, judged, expected_version)
        change.reason = reason
        if not change.empty:
            return (await _carry_out(context, entity, [change], uploads))[0]
        found = await get(context, entity, ref_id)
        if expected_version is not None and found.version != expected_version:
            raise Conflict(change.table.name, ref_id, expected_version, found.version or 0)
        return found

    return await repeated(context, work, _forget)


async def update_many(
    context: Context,
    entity: type[E],
    values: Mapping[str, Mapping[str, Any]],
    reason: str | None = None,
) -> list[E]:
    """Write some fields of many records, all or nothing. The trips of one update."""
    if not isinstance(values, Mapping):
        raise ValidationError("it must map each ref_id to the fields to write", field="values")
    for i, (ref_id, each) in enumerate(values.items()):
        with _placed(i):
            check_update(entity, ref_id, each)
    check_reason(reason, entity)
    values = {ref_id: held(each) for ref_id, each in values.items()}

    async def work(uploads: Uploads) -> list[E]:
        found = await read_judged(context, [(entity, ref_id, each) for ref_id, each in values.items()])
        changes: list[Change] = []
        for i, (ref_id, each) in enumerate(values.items()):
            with _placed(i):
                changes.append(await _change_in(context, entity, ref_id, each, found))
            changes[-1].place, changes[-1].reason = i, reason
        return await _carry_out(context, entity, changes, uploads) if changes else []

    return await repeated(context, work, _forget)


async def read_judged(
    context: Context, updates: Iterable[tuple[type[Entity], str, Mapping[str, Any]]]
) -> Judged:
    """Read the records of the updates whose validators look at other fields. One trip, or none."""
    wanted = [
        (entity.storekit_table, ref_id)
        for entity, ref_id, values in updates
        if values and looks_at_record(entity)
    ]
    rows = await found_rows(context, wanted) if wanted else []
    return {(table.name, ref_id): each for (table, ref_id), each in zip(wanted, rows, strict=True)}


def change_to(
    context: Context,
    entity: type[Entity],
    ref_id: str,
    values: Mapping[str, Any],
    found: Judged,
    expected_version: int | None = None,
) -> Change:
    """Return the change of a partial update.

    If the record was read, the change requires its version: other values were not judged.

    Raises:
        NotFound: the record was read and does not exist.
        Conflict: the record that was read has another version than `expected_version`.
    """
    table = entity.storekit_table
    rows = found.get((table.name, ref_id))
    if rows is None:
        change = change_from(entity, ref_id, values)
        change.expected_version, change.compared = expected_version, expected_version is not None
        return change
    row = visible(table, context.actor.tenant, rows, ref_id)
    if expected_version not in (None, row["version"]):
        raise Conflict(table.name, ref_id, expected_version, row["version"])
    change = change_from(entity, ref_id, values, judged_from(entity, row))
    change.expected_version, change.compared = row["version"], expected_version is not None
    return change


async def read_stored_parts(context: Context, changes: Sequence[Change]) -> None:
    """Read the stored parts that the plan of partial updates needs. One trip if it needs any, else none.

    The update then requires the version that was read: otherwise a document could be written with links to
    blobs that its row no longer has. If another writer is faster, the update is repeated.
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
    found: Judged,
    expected_version: int | None = None,
) -> Change:
    def work() -> Change:
        return change_to(context, entity, ref_id, values, found, expected_version)

    long = any(values.get(name) is not None for name in documents_of(entity.storekit_table))
    return await off_loop(context, work, long=long)


@contextmanager
def _placed(i: int) -> Iterator[None]:
    """Add the position of a record to its error."""
    try:
        yield
    except StorekitError as error:
        error.at(i)
        raise


def _forget(_: UUID) -> None:
    """Do not remember a write with an unknown outcome: no object can store it."""


async def _carry_out(
    context: Context, entity: type[E], changes: Sequence[Change], uploads: Uploads
) -> list[E]:
    table = entity.storekit_table
    try:
        await read_stored_parts(context, changes)
        plan = await planned(context, changes)
        ref_ids = [change.ref_id for change in changes]
        done = await carry_out(context, plan, None, _forget, [whole_row(table, ref_ids)], uploads=uploads)
    except StorekitError as error:
        if isinstance(error, Conflict) and not any(change.compared for change in changes):
            raise Overtaken from error
        await attribute(context, changes, error)
        raise
    assert isinstance(done, Committed)  # noqa: S101 only a key can be replayed
    # the rows were read in the transaction of the commit, so they contain no later change of another writer
    rows = {row["ref_id"]: [row] for row in done.rows[0]}
    versions, tenant = done.saved.versions, context.actor.tenant
    return [committed_from(entity, tenant, rows.get(r, []), r, versions[table.name, r]) for r in ref_ids]
