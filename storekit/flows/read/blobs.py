"""Read blobs of a record, or of the record that one of its references points to."""

from __future__ import annotations

from collections.abc import Sequence

from storekit.errors import NotFound, UsageError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import checked, part_of
from storekit.model.table.references import require_reference
from storekit.model.table.table import Table
from storekit.ports.statements import Locate, Via
from storekit.ports.stores import BlobRef, BlobStream
from storekit.trace import step


async def open_blob(context: Context, table: Table, ref_id: str, field: str) -> BlobStream:
    """Open a blob as a stream. One Postgres trip and one S3 request."""
    ref = await blob_ref(context, table, ref_id, field)
    with step("s3.get"):
        return await context.ports.blobs.get(ref)


async def read(context: Context, table: Table, ref_id: str, field: str) -> bytes:
    """Read a whole blob into memory. One Postgres trip and one S3 request."""
    stream = await open_blob(context, table, ref_id, field)
    try:
        return await context.ports.runtime.blocking(stream.read)
    finally:
        stream.close()


async def blob_ref(context: Context, table: Table, ref_id: str, field: str) -> BlobRef:
    """Look up where a blob is stored. One trip.

    Raises:
        NotFound: there is no such record, or the field is empty.
    """
    found = await blob_refs(context, table, [ref_id], field)
    if ref_id not in found:
        raise NotFound(table.name, ref_id)
    ref = found[ref_id]
    if ref is None:
        raise NotFound(table.name, ref_id, field)
    return ref


async def blob_refs(
    context: Context, table: Table, ref_ids: Sequence[str], field: str
) -> dict[str, BlobRef | None]:
    """Look up where blobs are stored, by ref_id; None for an empty field. One trip for all of them."""
    owner, name, via = _followed(table, field)
    part_of(owner, name, "blob")
    statement = Locate(table.name, name, table.soft_delete, checked(ref_ids), via)
    return await calls.locate(context, statement)


def _followed(table: Table, field: str) -> tuple[Table, str, Via | None]:
    """Resolve "output.content": the field `content` of the record that the column `output_id` refers to.

    Raises:
        UsageError: there is no such reference, or a tenant's record refers to a global one.
    """
    if not isinstance(field, str) or "." not in field:
        return table, field, None
    first, _, rest = field.partition(".")
    column, owner = require_reference(table, first)
    path = f"{table.name}.{field[:40]}"
    if "." in rest:
        raise UsageError(f"{path}: only one reference can be followed; use the repository of {owner.name}")
    if owner.scope == "global" and table.scope != "global":
        raise UsageError(f"{path}: {owner.name} is global; use the repository of its class")
    return owner, rest, Via(column.name, owner.name, owner.soft_delete)
