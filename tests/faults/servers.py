"""The servers that fault tests use."""

from __future__ import annotations

from dataclasses import dataclass

from storekit import Settings
from tests.faults.reader import Reader
from tests.support.clock import Clock


@dataclass(frozen=True)
class Servers:
    """Real servers, a reader that does not use storekit, and the database's clock."""

    settings: Settings
    reader: Reader
    clock: Clock
