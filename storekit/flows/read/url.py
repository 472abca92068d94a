"""Sign URLs: one indexed look-up and one signature. The content does not pass through this process."""

from __future__ import annotations

from collections.abc import Iterable

from storekit.errors import UsageError
from storekit.errors.shown import shown
from storekit.flows.context import Context
from storekit.flows.read.blobs import blob_ref, blob_refs
from storekit.flows.read.load import checked
from storekit.model.table.table import Table
from storekit.model.values.disposition import disposition, is_active, is_inert
from storekit.model.values.media_types import UNKNOWN, with_charset
from storekit.ports.stores import BlobRef


async def url(
    context: Context,
    table: Table,
    ref_id: str,
    field: str,
    expires_in: int,
    download_as: str | None,
    *,
    inline: bool,
) -> str:
    """Sign a URL of one blob. One Postgres trip."""
    _check_life(context, expires_in)
    if download_as is not None and not isinstance(download_as, str):
        raise UsageError(f"download_as must be str, not {type(download_as).__name__}")
    ref = await blob_ref(context, table, ref_id, field)
    return _sign(context, ref, expires_in, download_as, inline=inline)


async def urls(
    context: Context,
    table: Table,
    ref_ids: Iterable[str],
    field: str,
    expires_in: int,
    inline: bool,
) -> dict[str, str]:
    """Sign URLs of many blobs. One Postgres trip for all; records without content are absent."""
    _check_life(context, expires_in)
    if isinstance(ref_ids, str):
        raise UsageError("urls() takes several ref_ids; give a list of them")
    wanted = list(dict.fromkeys(checked(ref_ids)))
    if not wanted:
        return {}
    found = await blob_refs(context, table, wanted, field)
    return {
        ref_id: _sign(context, ref, expires_in, None, inline=inline)
        for ref_id in wanted
        if (ref := found.get(ref_id)) is not None
    }


def _check_life(context: Context, expires_in: int) -> None:
    limit = int(context.ports.settings.max_url_lifetime.total_seconds())
    if isinstance(expires_in, bool) or not isinstance(expires_in, int) or not 1 <= expires_in <= limit:
        raise UsageError(
            f"expires_in is {shown(expires_in)}; it must be whole seconds from 1 to {limit}, which is "
            "max_url_lifetime (STOREKIT_MAX_URL_LIFETIME)"
        )


def _sign(context: Context, ref: BlobRef, expires_in: int, download_as: str | None, *, inline: bool) -> str:
    """Sign a URL. Content of a type that a browser might execute is always downloaded, never displayed.

    All tenants share the origin of the bucket, so a script of one tenant could read the data of another.
    """
    if inline and not is_inert(ref.media_type):
        raise UsageError(f"{ref.media_type} cannot be served inline; use inline=False")
    served = UNKNOWN if is_active(ref.media_type) else with_charset(ref.media_type)
    content_type = None if served == ref.media_type else served
    shown_as = disposition(download_as or ref.filename, inline)
    return context.ports.blobs.sign(ref, expires_in, shown_as, content_type)
