"""What a fault test stands on."""

from __future__ import annotations

from dataclasses import dataclass

from fault_clock import Clock
from fault_reader import Reader

from storekit import Settings


@dataclass(frozen=True)
class Rig:
    """Real servers, a reader that is no part of storekit, and the database's clock."""

    settings: Settings
    reader: Reader
    clock: Clock
