"""`Context`: the ports of a store, and the tenant and actor that a flow acts for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self
from uuid import UUID

from storekit.errors import TenantRequired, UsageError
from storekit.errors.shown import shown
from storekit.model.table.table import Table
from storekit.model.values.context import encode_context
from storekit.model.values.limits import check_length, check_text
from storekit.ports.statements import Origin
from storekit.ports.stores import Blobs, Documents, Ledger, Runtime
from storekit.settings import Settings

_MOST_UNRESOLVED = 10_000


class Unresolved:
    """Writes of this process whose outcome is unknown, by tenant and idempotency key, and all pending ones.

    By key it contains only writes that this process has stopped working on: abandoning a write that another
    thread still works on would make that thread fail. It keeps the latest 10,000 of each kind; an older one
    ends with its lease.
    """

    def __init__(self) -> None:
        self._writes: dict[tuple[UUID, str], UUID] = {}
        self._pending: dict[UUID, Actor] = {}
        self.closed = False

    def begin(self, actor: Actor, write_id: UUID) -> None:
        """Store a write that is about to be staged.

        Raises:
            UsageError: the store is closed.
        """
        if self.closed:
            raise UsageError("the store is closed; use it inside its with block")
        while len(self._pending) >= _MOST_UNRESOLVED:
            self._pending.pop(next(iter(self._pending)), None)
        self._pending[write_id] = actor

    def end(self, write_id: UUID) -> None:
        """Remove a write that is committed or aborted."""
        self._pending.pop(write_id, None)

    def close(self) -> dict[UUID, Actor]:
        """Remove and return all pending writes; no further one can begin."""
        self.closed = True
        pending, self._pending = self._pending, {}
        return pending

    def forget_pending(self) -> None:
        """Forget the pending writes, in a forked child: its parent still works on them."""
        self._pending = {}

    def add(self, tenant: UUID, key: str, write_id: UUID) -> None:
        """Store a write until the next save with its key."""
        while len(self._writes) >= _MOST_UNRESOLVED:
            del self._writes[next(iter(self._writes))]
        self._writes[tenant, key] = write_id

    def take(self, tenant: UUID, key: str) -> UUID | None:
        """Remove and return the write of a key, if there is one."""
        return self._writes.pop((tenant, key), None)


class Ports(Protocol):
    """The ports of a store, each built at its first use: without documents MongoDB is not needed."""

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
        """Build the drivers that a call needs before it sends anything.

        Raises:
            ConfigurationError: a setting that the call needs is missing or invalid.
        """
        ...

    def committed(self) -> None:
        """Wake the relays of this process: a commit has written events."""
        ...

    @property
    def unresolved(self) -> Unresolved: ...


_LONGEST_NAME = 255
NIL = UUID(int=0)
"""The tenant of global records."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The tenant and the actor that are passed to every call of the ledger."""

    tenant: UUID
    name: str
    admin: bool = False
    """Whether it is the admin, who writes global records and uses the admin login."""
    on_behalf_of: str | None = None
    """For whom the actor acts, for example the user of an agent."""
    context: str | None = None
    """Facts about the request, a JSON object as text."""

    @classmethod
    def of(
        cls,
        tenant: UUID | str | None,
        actor: str,
        on_behalf_of: str | None = None,
        context: dict[str, Any] | None = None,
    ) -> Self:
        """Check a tenant and an actor. No I/O.

        Raises:
            TenantRequired: the tenant is missing or is not a UUID.
            UsageError: the actor is missing.
            ValidationError: a name is too long, or the context is not a JSON object of at most 4 KB.
        """
        if tenant is None:
            raise TenantRequired("the tenant is missing; pass its UUID: scope(tenant=..., actor=...)")
        try:
            found = tenant if isinstance(tenant, UUID) else UUID(tenant)
        except (ValueError, AttributeError, TypeError) as error:
            raise TenantRequired(f"the tenant {shown(tenant)} is not a UUID") from error
        if found == NIL:
            raise TenantRequired("the nil UUID is not a tenant; store.admin(actor=...) writes global records")
        return replace(cls(found, _checked_name(actor)), **_behalf(on_behalf_of, context))

    @classmethod
    def of_admin(
        cls, actor: str, on_behalf_of: str | None = None, context: dict[str, Any] | None = None
    ) -> Self:
        """Return the actor that writes global records, for no tenant."""
        return replace(cls(NIL, _checked_name(actor), admin=True), **_behalf(on_behalf_of, context))

    def origin(self, reason: str | None = None) -> Origin:
        """Return what the events of a change keep."""
        return Origin(self.name, self.on_behalf_of, self.context, reason)

    def acting_on(self, table: Table) -> Actor:
        """Return the actor for the records of one table: global records are read under the nil tenant.

        Raises:
            UsageError: the admin asks for records that belong to tenants.
        """
        if table.scope == "global":
            return self if self.admin else replace(self, tenant=NIL)
        self._refuse_admin(table)
        return self

    def require_write(self, table: Table) -> None:
        """Check that this actor may write the records of a table.

        Raises:
            UsageError: the records are global and the actor is not the admin, or they belong to tenants and
                the actor is the admin.
        """
        if table.scope != "global":
            self._refuse_admin(table)
        elif not self.admin:
            raise UsageError(f"{table.name} is global; store.admin(actor=...) writes it")

    def _refuse_admin(self, table: Table) -> None:
        if self.admin:
            raise UsageError(f"{table.name} belongs to tenants; store.scope(tenant=..., actor=...) writes it")


@dataclass(frozen=True, slots=True)
class Context:
    """The first argument of every flow: its ports, and the tenant and actor that it acts for."""

    ports: Ports
    actor: Actor
    transaction: Ledger | None = None
    """The ledger inside the transaction of a unit of work; None outside of one."""

    def acting_on(self, table: Table) -> Context:
        """Return the context for the records of one table.

        Raises:
            UsageError: the admin asks for records that belong to tenants.
        """
        actor = self.actor.acting_on(table)
        return self if actor is self.actor else replace(self, actor=actor)


def _behalf(on_behalf_of: str | None, context: dict[str, Any] | None) -> dict[str, Any]:
    other = None if on_behalf_of is None else _checked_name(on_behalf_of, "on_behalf_of")
    return {"on_behalf_of": other, "context": encode_context(context)}


def _checked_name(name: str, what: str = "actor") -> str:
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f'the {what} is missing; pass a name: scope(tenant=..., {what}="user:jane")')
    return check_length(check_text(name, what), _LONGEST_NAME, what)
