"""The record of an import cursor: the position up to which another system's data was read."""

from __future__ import annotations

from storekit.model.declare.entity import Entity, Mutable


class Position(Entity, Mutable, table="storekit.cursor", line="core", natural_key=("name",)):
    """How far a tenant has read another system; the version check makes each advance a compare-and-set."""

    name: str
    position: str = ""
