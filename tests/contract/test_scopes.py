"""Global records, records that are their own tenant, and finding a record before its tenant is known."""

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
    """Give the awaitable repository of the tariffs' only writer."""
    return awaitable(harness.store.admin(actor="user:operator").repository(Tariff))


async def lookup(harness: Harness, value: Any, entity: type[Entity] = Login) -> Any:
    if isinstance(harness.store, Store):
        return await asyncio.to_thread(harness.store.lookup, entity, value)
    return await harness.store.lookup(entity, value)


async def test_every_tenant_reads_what_the_admin_writes(harness: Harness) -> None:
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
    """save, update and delete in a tenant's scope name the way that there is, and send nothing."""
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


async def test_the_admin_changes_and_removes_global_records(harness: Harness) -> None:
    """The admin updates, replaces content and deletes; afterwards no tenant finds it."""
    saved = await admin(harness).save(Tariff(name="Pro", terms=Blob(b"one")))
    changed = await admin(harness).update(saved.ref_id, {"name": "Team", "terms": Blob(b"two")})
    assert (changed.version, await harness.repository(Tariff).read(saved.ref_id, "terms")) == (2, b"two")
    await admin(harness).delete(saved.ref_id)
    with pytest.raises(NotFound):
        await harness.repository(Tariff).get(saved.ref_id)


async def test_the_admin_reads_and_writes_nothing_of_a_tenant(harness: Harness) -> None:
    """A repository of tenants' records is refused in the admin's scope."""
    with pytest.raises(UsageError, match="belongs to tenants"):
        harness.store.admin(actor="user:operator").repository(Order)


@pytest.mark.parametrize("nil", [UUID(int=0), str(UUID(int=0))])
async def test_the_nil_uuid_is_no_tenant(harness: Harness, nil: Any) -> None:
    """Nobody opens a tenant's scope on the global records."""
    with pytest.raises(TenantRequired):
        harness.store.scope(tenant=nil, actor="user:x")


async def test_a_tenants_record_may_refer_to_a_global_one(harness: Harness) -> None:
    """A reference to a global class is a key: what it names must be there, and stays while it is named."""
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


async def test_a_tenants_own_record_is_seen_in_its_own_scope_alone(harness: Harness) -> None:
    """A class with scope="self" is saved where tenant and id are one, and nowhere else."""
    customer = Customer(name="Acme")
    with pytest.raises(ConstraintViolation):
        await harness.repository(Customer).save(Customer(name="Other"))
    saved = await harness.repository(Customer, tenant=customer.id).save(customer)
    assert saved.tenant_id == saved.id
    with pytest.raises(NotFound):
        await harness.repository(Customer).get(saved.ref_id)


async def test_a_record_is_found_before_its_tenant_is_known(harness: Harness) -> None:
    """Who shows the value learns tenant and ref_id in one trip; an unknown value finds nothing."""
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


async def test_a_value_that_two_tenants_hold_finds_nothing(harness: Harness) -> None:
    """Two records with one value are nobody's."""
    digest = uuid4().hex
    await harness.repository(Login).save(Login(digest=digest))
    await harness.repository(Login, tenant=uuid4()).save(Login(digest=digest))
    assert await lookup(harness, digest) is None


@pytest.mark.parametrize("value", ["", None, b"x", 1, "a\0b", "\ud800"])
async def test_what_cannot_be_a_value_is_refused_before_anything_is_sent(
    harness: Harness, value: object
) -> None:
    """A lookup takes a str that is not empty and can be stored."""
    with steps() as seen, pytest.raises(Exception) as error:  # noqa: PT011  its class is asserted
        await lookup(harness, value)
    assert type(error.value).__module__ == "storekit.errors"
    assert trips(seen) == {}


async def test_a_class_without_a_lookup_field_is_not_looked_up(harness: Harness) -> None:
    """The error names the declaration."""
    with pytest.raises(UsageError, match=r"lookup\(\)"):
        await lookup(harness, "x", Run)
