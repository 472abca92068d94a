"""The tables of the fault tests, and a reader that does not use storekit."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storekit import Store
from tests.faults.entities import ENTITIES, Note, note
from tests.faults.reader import Reader
from tests.faults.servers import Servers, ignore_pymongo_socket
from tests.faults.writers import Writers
from tests.support.clock import Clock


@pytest.fixture(scope="session")
def servers(embedded: Store, stack: Path) -> Iterator[Servers]:
    with Store.embedded(stack, ENTITIES) as store:
        reader = Reader(store.settings)
        # the first upload of all makes S3 create a volume, which takes longer than a test's time-out
        store.scope(tenant=uuid4(), actor="test").repository(Note).save(note("first of all"))
        yield Servers(store.settings, reader, Clock.of(store.settings))
        reader.close()


@pytest.fixture
def cancelled_sockets(servers: Servers) -> Iterator[None]:
    """Collect the sockets that pymongo leaves open if its task is cancelled while connecting.

    Otherwise the warning about them is the error of a later test.
    """
    yield
    with warnings.catch_warnings():
        ignore_pymongo_socket(servers)
        gc.collect()


@pytest.fixture(scope="session")
def writers(servers: Servers) -> Iterator[Writers]:
    with Writers(servers.settings) as found:
        yield found
