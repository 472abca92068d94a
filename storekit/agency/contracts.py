"""Contracts: who accepted which document, and the exact bytes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from storekit.model.declare.entity import Entity
from storekit.model.table.fields import blob
from storekit.model.values.blob import Blob


class Contract(Entity, table="contracts", line="agency"):
    """A legal record, append-only: each acceptance is a new contract."""

    title: str
    accepted_by: str
    accepted_on: datetime
    pdf: Annotated[Blob, blob(media_type="application/pdf")]
