"""What a fault test stands on."""

from __future__ import annotations

from dataclasses import dataclass

from storekit import Settings
from tests.faults.reader import Reader
from tests.support.clock import Clock


@dataclass(frozen=True)
class Rig:
    """Real servers, a reader that is no part of storekit, and the database's clock."""

    settings: Settings
    reader: Reader
    clock: Clock
