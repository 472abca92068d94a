"""What every flow is given: the ports, and on whose behalf it acts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self
from uuid import UUID

from storekit.errors import TenantRequired, UsageError
from storekit.model.table.table import Table
from storekit.model.values.limits import check_length, check_text
from storekit.ports.stores import Blobs, Documents, Ledger, Runtime
from storekit.settings import Settings

_MOST_UNRESOLVED = 10_000


class Unresolved:
    """Writes of this process whose outcome is unknown, by tenant and idempotency key.

    It holds only writes that have ended: abandoning a write that another thread still carries out would
    steal it from that thread. It keeps the latest 10,000; the leases of the ledger end the others.
    """

    def __init__(self) -> None:
        self._writes: dict[tuple[UUID, str], UUID] = {}

    def add(self, tenant: UUID, key: str, write_id: UUID) -> None:
        """Keep a write until the next save with its key."""
        while len(self._writes) >= _MOST_UNRESOLVED:
            del self._writes[next(iter(self._writes))]
        self._writes[tenant, key] = write_id

    def take(self, tenant: UUID, key: str) -> UUID | None:
        """Remove and return the write of a key, if there is one."""
        return self._writes.pop((tenant, key), None)


class Ports(Protocol):
    """The ports, each built at its first use: who saves no document needs no MongoDB."""

    @property
    def settings(self) -> Settings: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def runtime(self) -> Runtime: ...
    async def ready(self, *, documents: bool, blobs: bool) -> None:
        """Build what a call needs before it sends anything.

        Raises:
            ConfigurationError: a setting that this call needs is missing or cannot be used.
        """
        ...

    @property
    def unresolved(self) -> Unresolved: ...


_LONGEST_NAME = 255
NIL = UUID(int=0)
"""The tenant of global records."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The tenant and the actor: every call on the ledger names both."""

    tenant: UUID
    name: str
    admin: bool = False
    """Whether this is the login that writes global records."""

    @classmethod
    def of(cls, tenant: UUID | str | None, actor: str) -> Self:
        """Check who acts, before anything is sent.

        Raises:
            TenantRequired: there is no tenant, or it is no UUID.
            UsageError: there is no actor.
        """
        if tenant is None:
            raise TenantRequired("no tenant was named; scope(tenant=..., actor=...) takes its UUID")
        try:
            found = tenant if isinstance(tenant, UUID) else UUID(tenant)
        except (ValueError, AttributeError, TypeError) as error:
            raise TenantRequired(f"the tenant {tenant!r} is not a UUID") from error
        if found == NIL:
            raise TenantRequired("the nil UUID is no tenant; store.admin(actor=...) writes global records")
        return cls(found, _checked_name(actor))

    @classmethod
    def of_admin(cls, actor: str) -> Self:
        """Act for no tenant, on global records."""
        return cls(NIL, _checked_name(actor), admin=True)

    def acting_on(self, table: Table) -> Actor:
        """Read global records where they are; keep the admin from any tenant's.

        Raises:
            UsageError: the admin asks for records that belong to tenants.
        """
        if table.scope == "global":
            return self if self.admin else replace(self, tenant=NIL)
        if self.admin:
            raise UsageError(f"{table.name} belongs to tenants; store.scope(tenant=..., actor=...) writes it")
        return self

    def require_write(self, table: Table) -> None:
        """Refuse to write a global record for a tenant.

        Raises:
            UsageError: only the admin may.
        """
        if table.scope == "global" and not self.admin:
            raise UsageError(f"{table.name} is global; store.admin(actor=...) writes it")


@dataclass(frozen=True, slots=True)
class Context:
    """The ports of a store, and for whom a flow uses them: the first argument of every flow."""

    ports: Ports
    actor: Actor

    def acting_on(self, table: Table) -> Context:
        """Return the context for the records of one table.

        Raises:
            UsageError: the admin asks for records that belong to tenants.
        """
        actor = self.actor.acting_on(table)
        return self if actor is self.actor else Context(self.ports, actor)


def _checked_name(actor: str) -> str:
    if not isinstance(actor, str) or not actor.strip():
        raise UsageError('no actor was named; scope(tenant=..., actor="user:jane") takes a name')
    return check_length(check_text(actor, "actor"), _LONGEST_NAME, "actor")
