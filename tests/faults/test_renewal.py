"""A long upload renews its lease; a write that lost its lease starts again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from storekit import Settings
from storekit.bridge import settle
from storekit.testing.faults import observe
from storekit.trace import Phase, listen
from tests.faults.entities import Note, note
from tests.faults.servers import Servers
from tests.support.adapters import APIS, opened, repository, save
from tests.support.proxy import Proxy


@pytest.fixture
def slow(servers: Servers) -> Iterator[Settings]:
    """Delay S3, so that an upload lasts for many renewals."""
    parts = urlsplit(servers.settings.s3_endpoint_url or "")
    with Proxy(str(parts.hostname), int(parts.port or 80), delay=0.3) as proxy:
        address = {"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"}
        yield servers.settings.model_copy(update={**address, "renew_every": timedelta(milliseconds=20)})


@pytest.mark.parametrize("api", APIS)
async def test_a_long_upload_renews_its_lease(servers: Servers, slow: Settings, api: str) -> None:
    """During a put the waiting caller renews the lease of the write; the save is one write."""
    tenant = uuid4()
    async with opened(api, slow) as store:
        with observe() as steps:
            (saved,) = await save(store, tenant, [note("slow")], "slow")
        assert steps.count("postgres.renew")
        assert steps.count("postgres.stage") == 1
        content = await settle(repository(store, tenant, Note).read(saved.ref_id, "content"))
    assert content == b"content of slow"
    assert servers.reader.writes(tenant, "committed") == 1


@pytest.mark.parametrize("api", APIS)
async def test_a_write_that_was_taken_over_starts_again(servers: Servers, slow: Settings, api: str) -> None:
    """If a renewal finds the write aborted, the wave ends and a new write makes the save."""
    tenant, taken = uuid4(), list[str]()

    def take_over(step: str, phase: Phase) -> None:
        if (step, phase) == ("s3.put", "started") and not taken:
            taken.append(step)
            abort_all(servers.settings, tenant)

    async with opened(api, slow) as store:
        with listen(take_over), observe() as steps:
            await save(store, tenant, [note("slow")], "slow")
    assert steps.count("postgres.stage") == 2
    assert servers.reader.writes(tenant, "aborted") == 1
    assert servers.reader.complete_records(tenant) == 1


def abort_all(settings: Settings, tenant: UUID) -> None:
    """Abort the pending writes of the tenant, as another writer does after their lease expired."""
    assert settings.postgres_url is not None
    assert settings.postgres_admin_url is not None
    with psycopg.connect(settings.postgres_admin_url.get_secret_value()) as connection:
        connection.execute("SET LOCAL ROLE storekit_owner")
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", (str(tenant),))
        connection.execute(
            "SELECT storekit.abort_pending(tenant_id, write_id, NULL) FROM storekit.write "
            "WHERE state = 'pending'"
        )
