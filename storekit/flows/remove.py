"""Delete: hide a soft-deletable record, remove any other."""

from __future__ import annotations

from storekit.errors import UsageError
from storekit.flows.context import Actor, Ports
from storekit.flows.load import checked
from storekit.flows.write import carry_out
from storekit.model.changes import Change
from storekit.model.entity import Entity
from storekit.model.planner import make_plan
from storekit.model.values import check_version


async def delete(
    ports: Ports, actor: Actor, entity: type[Entity], ref_id: str, expected_version: int | None = None
) -> None:
    """Delete one record; its parts follow later. One Postgres trip."""
    checked([ref_id])
    table = entity.storekit_table
    if not (table.mutable or table.soft_delete):
        raise UsageError(f"{entity.__name__} is append-only; derive it from SoftDelete or Mutable")
    change = Change(
        entity.__name__, table, "delete", ref_id, expected_version=check_version(expected_version)
    )
    await carry_out(ports, actor, make_plan([change], {}, {}), None, lambda _: None)
