"""A long upload keeps its lease; one that has lost it begins anew."""

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
from tests.faults.rig import Rig
from tests.support.adapters import COLOURS, opened, repository, save
from tests.support.proxy import Proxy


@pytest.fixture
def slow(rig: Rig) -> Iterator[Settings]:
    """Put S3 far away: an upload lasts many beats."""
    parts = urlsplit(rig.settings.s3_endpoint_url or "")
    with Proxy(str(parts.hostname), int(parts.port or 80), delay=0.3) as proxy:
        address = {"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"}
        yield rig.settings.model_copy(update={**address, "renew_every": timedelta(milliseconds=20)})


@pytest.mark.parametrize("colour", COLOURS)
async def test_an_upload_longer_than_a_beat_renews_its_lease_and_commits(
    rig: Rig, slow: Settings, colour: str
) -> None:
    """While a put goes on the waiting caller renews the write's lease; the save is one write."""
    tenant = uuid4()
    async with opened(colour, slow) as store:
        with observe() as steps:
            (saved,) = await save(store, tenant, [note("slow")], "slow")
        assert steps.count("postgres.renew")
        assert steps.count("postgres.stage") == 1
        content = await settle(repository(store, tenant, Note).read(saved.ref_id, "content"))
    assert content == b"content of slow"
    assert rig.reader.writes(tenant, "committed") == 1


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_write_that_was_taken_over_during_its_upload_is_begun_anew(
    rig: Rig, slow: Settings, colour: str
) -> None:
    """A renewal that finds the write aborted ends the wave, and the save is made by a fresh write."""
    tenant, taken = uuid4(), list[str]()

    def take_over(step: str, phase: Phase) -> None:
        if (step, phase) == ("s3.put", "started") and not taken:
            taken.append(step)
            abort_all(rig.settings, tenant)

    async with opened(colour, slow) as store:
        with listen(take_over), observe() as steps:
            await save(store, tenant, [note("slow")], "slow")
    assert steps.count("postgres.stage") == 2
    assert rig.reader.writes(tenant, "aborted") == 1
    assert rig.reader.whole_records(tenant) == 1


def abort_all(settings: Settings, tenant: UUID) -> None:
    """Do to the tenant's pending writes what a taker does when their lease is over."""
    assert settings.postgres_url is not None
    assert settings.postgres_admin_url is not None
    with psycopg.connect(settings.postgres_admin_url.get_secret_value()) as connection:
        connection.execute("SET LOCAL ROLE storekit_owner")
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", (str(tenant),))
        connection.execute(
            "SELECT storekit.abort_pending(tenant_id, write_id, NULL) FROM storekit.write "
            "WHERE state = 'pending'"
        )
