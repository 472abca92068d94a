"""Global records, records that are their own tenant, and lookups before the tenant is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from storekit import Blob, ConstraintViolation, Entity, NotFound, Store, TenantRequired, UsageError
from tests.support.adapters import awaitable
from tests.support.entities import Customer, Login, Order, Run, Tariff
from tests.support.harness import Harness, steps, trips


def admin(harness: Harness) -> Any:
    """Return an awaitable repository of tariffs, which only the admin may write."""
    return awaitable(harness.store.admin(actor="user:operator").repository(Tariff))


async def lookup(harness: Harness, value: Any, entity: type[Entity] = Login) -> Any:
    if isinstance(harness.store, Store):
        return await asyncio.to_thread(harness.store.lookup, entity, value)
    return await harness.store.lookup(entity, value)


async def test_every_tenant_can_read_global_records(harness: Harness) -> None:
    """A global record, its blob and its history are read in any tenant's scope, at the usual cost."""
    saved = await admin(harness).save(Tariff(name=f"Pro {uuid4()}", terms=Blob(b"# Terms")))
    assert saved.tenant_id == UUID(int=0)
    for tenant in (harness.tenant, uuid4()):
        tariffs = harness.repository(Tariff, tenant=tenant)
        with steps() as seen:
            found = await tariffs.get(saved.ref_id)
        assert trips(seen) == {"postgres.select": 1}
        assert found.name == saved.name
        assert await tariffs.read(saved.ref_id, "terms") == b"# Terms"
        assert (await harness.fetch(await tariffs.url(saved.ref_id, "terms"))).body == b"# Terms"
        assert [event.by for event in await tariffs.history(saved.ref_id)] == ["user:operator"]


async def test_a_tenant_cannot_write_a_global_record(harness: Harness) -> None:
    """save, update and delete in a tenant's scope raise an error with the remedy, and send nothing."""
    saved = await admin(harness).save(Tariff(name="Pro"))
    tariffs = harness.repository(Tariff)
    loaded = await tariffs.get(saved.ref_id)
    loaded.name = "Free"
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: tariffs.save(loaded),
        lambda: tariffs.save(Tariff(name="Mine")),
        lambda: tariffs.update(saved.ref_id, {"name": "Free"}),
        lambda: tariffs.delete(saved.ref_id),
    )
    with steps() as seen:
        for attempt in attempts:
            with pytest.raises(UsageError, match=r"store\.admin\(actor=\.\.\.\) writes it"):
                await attempt()
    assert trips(seen) == {}
    assert (await harness.repository(Tariff).get(saved.ref_id)).name == "Pro"


async def test_the_admin_can_change_and_delete_global_records(harness: Harness) -> None:
    """The admin updates, replaces content and deletes; afterwards no tenant finds the record."""
    saved = await admin(harness).save(Tariff(name="Pro", terms=Blob(b"one")))
    changed = await admin(harness).update(saved.ref_id, {"name": "Team", "terms": Blob(b"two")})
    assert (changed.version, await harness.repository(Tariff).read(saved.ref_id, "terms")) == (2, b"two")
    await admin(harness).delete(saved.ref_id)
    with pytest.raises(NotFound):
        await harness.repository(Tariff).get(saved.ref_id)


async def test_the_admin_scope_refuses_records_of_tenants(harness: Harness) -> None:
    """A repository of tenants' records is refused in the admin's scope."""
    with pytest.raises(UsageError, match="belongs to tenants"):
        harness.store.admin(actor="user:operator").repository(Order)


@pytest.mark.parametrize("nil", [UUID(int=0), str(UUID(int=0))])
async def test_the_nil_uuid_cannot_be_a_tenant(harness: Harness, nil: Any) -> None:
    """A scope of the nil UUID, which holds the global records, is refused."""
    with pytest.raises(TenantRequired):
        harness.store.scope(tenant=nil, actor="user:x")


async def test_a_tenants_record_may_refer_to_a_global_one(harness: Harness) -> None:
    """A reference to a global record must exist, and its target cannot be deleted."""
    tariff = await admin(harness).save(Tariff(name="Pro"))
    customers = harness.repository(Customer)
    customer = Customer(name="Acme", tariff_id=tariff.id)
    mine = harness.repository(Customer, tenant=customer.id)
    saved = await mine.save(customer)
    assert (await mine.get(saved.ref_id)).tariff_id == tariff.id
    with pytest.raises(ConstraintViolation):
        await admin(harness).delete(tariff.ref_id)
    with pytest.raises(ConstraintViolation):
        await customers.save(Customer(name="Bogus", tariff_id=uuid4()))


async def test_a_self_scoped_record_is_visible_only_in_its_own_scope(harness: Harness) -> None:
    """A record of a class with scope="self" is saved in the tenant of its id, and nowhere else."""
    customer = Customer(name="Acme")
    with pytest.raises(ConstraintViolation):
        await harness.repository(Customer).save(Customer(name="Other"))
    saved = await harness.repository(Customer, tenant=customer.id).save(customer)
    assert saved.tenant_id == saved.id
    with pytest.raises(NotFound):
        await harness.repository(Customer).get(saved.ref_id)


async def test_lookup_returns_tenant_and_ref_id(harness: Harness) -> None:
    """A lookup returns tenant and ref_id in one trip, or None for an unknown value."""
    digest = uuid4().hex
    saved = await harness.repository(Login).save(Login(digest=digest))
    with steps() as seen:
        found = await lookup(harness, digest)
    assert trips(seen) == {"postgres.select": 1}
    assert found == (harness.tenant, saved.ref_id)
    assert (found.tenant, found.ref_id) == found
    assert await lookup(harness, uuid4().hex) is None
    await harness.repository(Login).delete(saved.ref_id)
    assert await lookup(harness, digest) is None


async def test_lookup_of_an_ambiguous_value_returns_none(harness: Harness) -> None:
    """A lookup of a value that two records have returns None."""
    digest = uuid4().hex
    await harness.repository(Login).save(Login(digest=digest))
    await harness.repository(Login, tenant=uuid4()).save(Login(digest=digest))
    assert await lookup(harness, digest) is None


@pytest.mark.parametrize("value", ["", None, b"x", 1, "a\0b", "\ud800"])
async def test_an_invalid_lookup_value_is_refused(harness: Harness, value: object) -> None:
    """A lookup value must be a non-empty str that Postgres can store; nothing is sent otherwise."""
    with steps() as seen, pytest.raises(Exception) as error:  # noqa: PT011  its class is asserted
        await lookup(harness, value)
    assert type(error.value).__module__ == "storekit.errors"
    assert trips(seen) == {}


async def test_lookup_requires_a_lookup_field(harness: Harness) -> None:
    """A lookup of a class without a lookup field raises an error that shows the declaration."""
    with pytest.raises(UsageError, match=r"lookup\(\)"):
        await lookup(harness, "x", Run)
