"""The record of a cursor in another system's data."""

from __future__ import annotations

from storekit.model.declare.entity import Entity, Mutable


class Position(Entity, Mutable, table="storekit.cursor", line="core", natural_key=("name",)):
    """How far a tenant has read another system; its version makes each move compare-and-set."""

    name: str
    position: str = ""
