"""The record of an import cursor: the position up to which the data of another system was imported."""

from __future__ import annotations

from storekit.model.declare.entity import Entity, Mutable


class Position(Entity, Mutable, table="storekit.cursor", line="core", natural_key=("name",)):
    """The position of a tenant in the data of another system; its version makes a move a compare-and-set."""

    name: str
    position: str = ""
