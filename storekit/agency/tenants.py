"""Tenants, their sessions, and the templates that all tenants share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from storekit.model.declare.entity import Entity, Mutable, SoftDelete
from storekit.model.table.fields import lookup
from storekit.model.table.indexes import index


class Tenant(Entity, Mutable, SoftDelete, table="tenants", scope="self", line="agency"):
    """A customer. The record is its own tenant, so it is saved in `scope(tenant=tenant.id)`."""

    name: str
    external_billing_id: str | None = None


class Session(Entity, Mutable, table="sessions", line="agency", indexes=[index("expires_on")]):
    """A login. The digest of its token finds the session before the tenant is known."""

    token_digest: Annotated[str, lookup()]
    user_name: str
    expires_on: datetime


class ActivityTemplate(Entity, Mutable, table="activity_templates", scope="global", line="agency"):
    """A template for activities: written by the operators, read by every tenant."""

    name: str
    agent: str
    instructions: str
