"""Pre-signed URLs: one indexed look-up, one signature, no content through the process."""

from __future__ import annotations

from collections.abc import Iterable

from storekit.errors import UsageError
from storekit.flows.blobs import blob_ref, blob_refs
from storekit.flows.context import Actor, Ports
from storekit.flows.load import checked
from storekit.model.disposition import disposition, is_active, is_inert
from storekit.model.table import Table
from storekit.ports import BlobRef


async def url(
    ports: Ports,
    actor: Actor,
    table: Table,
    ref_id: str,
    field: str,
    expires_in: int,
    download_as: str | None,
    *,
    inline: bool,
) -> str:
    """Sign a URL of one blob. One Postgres trip."""
    _check_life(ports, expires_in)
    if download_as is not None and not isinstance(download_as, str):
        raise UsageError(f"download_as is a file name, a str, not {type(download_as).__name__}")
    ref = await blob_ref(ports, actor, table, ref_id, field)
    return _sign(ports, ref, expires_in, download_as, inline=inline)


async def urls(
    ports: Ports,
    actor: Actor,
    table: Table,
    ref_ids: Iterable[str],
    field: str,
    expires_in: int,
    inline: bool,
) -> dict[str, str]:
    """Sign URLs of many blobs. One Postgres trip for all; records without content are absent."""
    _check_life(ports, expires_in)
    if isinstance(ref_ids, str):
        raise UsageError("urls() takes several ref_ids; give a list of them")
    wanted = list(dict.fromkeys(checked(ref_ids)))
    if not wanted:
        return {}
    found = await blob_refs(ports, actor, table, wanted, field)
    return {
        ref_id: _sign(ports, ref, expires_in, None, inline=inline)
        for ref_id in wanted
        if (ref := found.get(ref_id)) is not None
    }


def _check_life(ports: Ports, expires_in: int) -> None:
    limit = int(ports.settings.max_url_lifetime.total_seconds())
    if isinstance(expires_in, bool) or not isinstance(expires_in, int) or not 1 <= expires_in <= limit:
        raise UsageError(f"expires_in is {expires_in!r}; it must be whole seconds from 1 to {limit}")


def _sign(ports: Ports, ref: BlobRef, expires_in: int, download_as: str | None, *, inline: bool) -> str:
    """Sign. What a browser might run is only ever downloaded: all tenants share the bucket's origin."""
    if inline and not is_inert(ref.media_type):
        raise UsageError(f"{ref.media_type} is never served inline; leave inline=False")
    content_type = "application/octet-stream" if is_active(ref.media_type) else None
    return ports.blobs.sign(ref, expires_in, disposition(download_as or ref.filename, inline), content_type)
