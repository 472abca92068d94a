"""The servers that fault tests use."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from storekit import Settings
from tests.faults.reader import Reader, address
from tests.support.clock import Clock


@dataclass(frozen=True)
class Servers:
    """Real servers, a reader that does not use storekit, and the database's clock."""

    settings: Settings
    reader: Reader
    clock: Clock


def ignore_pymongo_socket(servers: Servers) -> None:
    """Ignore the socket that pymongo leaves open if its task is cancelled while connecting."""
    assert servers.settings.mongo_url
    _, port = address(servers.settings.mongo_url.get_secret_value())
    warnings.filterwarnings("ignore", rf"unclosed <socket.*raddr=\('127.0.0.1', {port}\)", ResourceWarning)
