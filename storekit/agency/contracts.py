"""Contracts: who accepted what, and the very bytes that were accepted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from storekit.model.blob import Blob
from storekit.model.entity import Entity
from storekit.model.fields import blob


class Contract(Entity, table="contracts", line="agency"):
    """A legal record: it is never changed, another acceptance is another contract."""

    title: str
    accepted_by: str
    accepted_on: datetime
    pdf: Annotated[Blob, blob(media_type="application/pdf")]
