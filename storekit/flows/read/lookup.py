"""Find a record before its tenant is known, by a secret of the client, such as a session token."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from storekit.errors import UsageError
from storekit.flows import calls
from storekit.flows.context import NIL, Actor, Context, Ports
from storekit.model.table.table import Table
from storekit.model.values.limits import check_text
from storekit.ports.statements import Call


class Found(NamedTuple):
    """A record and the tenant it belongs to."""

    tenant: UUID
    ref_id: str


async def lookup(ports: Ports, table: Table, value: str) -> Found | None:
    """Find a record by the value of its class's `lookup()` field. One Postgres trip."""
    if table.lookup is None:
        raise UsageError(f"{table.name} has no lookup field; declare it: Annotated[str, lookup()]")
    if not isinstance(value, str) or not value:
        raise UsageError(f"{table.name}.{table.lookup} must be a non-empty str")
    call = Call("lookup_v1", {"p_entity": table.name, "p_value": check_text(value, table.lookup)})
    (found,) = await calls.read(Context(ports, Actor(NIL, "lookup")), [call])
    return Found(UUID(found["tenant_id"]), found["ref_id"]) if found else None
