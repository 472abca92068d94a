"""One stack of real servers for the fault tests alone, because they change its clock."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from storekit import Store
from tests.faults.entities import ENTITIES, Note, note
from tests.faults.reader import Reader
from tests.faults.servers import Servers
from tests.faults.writers import Writers
from tests.support.clock import Clock


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Store.embedded(tmp_path_factory.mktemp("faults") / "stack", ENTITIES) as store:
        reader = Reader(store.settings)
        # the first upload of all makes S3 create a volume, which takes longer than a test's time-out
        store.scope(tenant=uuid4(), actor="test").repository(Note).save(note("first of all"))
        yield Servers(store.settings, reader, Clock.of(store.settings))
        reader.close()


@pytest.fixture(scope="session")
def writers(servers: Servers) -> Iterator[Writers]:
    with Writers(servers.settings) as found:
        yield found
