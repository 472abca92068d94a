"""Idempotency keys belong to one tenant: the same key of another tenant creates another record."""

from __future__ import annotations

from uuid import uuid4

from storekit import Blob, IdempotencyConflict, NotFound
from storekit.bridge import settle
from tests.security.legs import Leg, Ticket


def _ticket(title: str = "x") -> Ticket:
    return Ticket(title=title, payload={"a": 1}, file=Blob("content"))


async def test_a_key_is_unique_per_tenant(leg: Leg) -> None:
    """The same request with the same key creates one record per tenant, and each tenant replays its own."""
    tenants = [uuid4(), uuid4()]
    first, second = [
        await settle(leg.tickets(tenant).save(_ticket(), idempotency_key="k")) for tenant in tenants
    ]
    assert first.ref_id != second.ref_id
    assert [each.tenant_id for each in (first, second)] == tenants
    for tenant, own, other in zip(tenants, (first, second), (second, first), strict=True):
        again = await settle(leg.tickets(tenant).save(_ticket(), idempotency_key="k"))
        assert (again.ref_id, again.tenant_id, again.version) == (own.ref_id, tenant, 1)
        assert await settle(leg.tickets(tenant).read(own.ref_id, "file")) == b"content"
        try:
            await settle(leg.tickets(tenant).get(other.ref_id))
        except NotFound:
            continue
        raise AssertionError("a record of another tenant was found")


async def test_a_key_of_another_tenant_is_not_revealed(leg: Leg) -> None:
    """A key that another tenant uses causes no conflict, no wait and no replay."""
    tenants = [uuid4(), uuid4()]
    await settle(leg.tickets(tenants[0]).save(_ticket(), idempotency_key="k"))
    other = await settle(leg.tickets(tenants[1]).save(_ticket("another"), idempotency_key="k"))
    assert (other.title, other.tenant_id) == ("another", tenants[1])
    try:
        await settle(leg.tickets(tenants[1]).save(_ticket("x"), idempotency_key="k"))
    except IdempotencyConflict:
        return
    raise AssertionError("its own key was taken twice")
