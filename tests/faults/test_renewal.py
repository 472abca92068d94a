"""A long upload keeps its lease; one that has lost it begins anew."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from fault_colours import COLOURS, opened, repository, save
from fault_entities import Details, Note
from fault_rig import Rig

from storekit import Blob, Settings
from storekit.bridge import settle
from storekit.testing.faults import observe
from storekit.trace import Phase, listen

_BEAT = {"beat": timedelta(milliseconds=20)}


class Slow(io.BytesIO):
    """A file whose second reading, the one that sends, stops until it is let go."""

    def __init__(self, content: bytes, stop: Callable[[], object]) -> None:
        super().__init__(content)
        self._stop, self._readings = stop, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._readings += 1
        return super().seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        if self._readings > 1:
            self._stop()
        return super().read(size)


def slow_note(stop: Callable[[], object]) -> Note:
    content = Blob(Slow(b"content of slow", stop))
    return Note(title="slow", details=Details(text="details of slow"), content=content)


@pytest.mark.parametrize("colour", COLOURS)
async def test_an_upload_longer_than_a_beat_renews_its_lease_and_commits(rig: Rig, colour: str) -> None:
    """While a put goes on the waiting caller renews the write's lease; the save is one write."""
    renewed, tenant = threading.Event(), uuid4()

    def heard(step: str, phase: Phase) -> None:
        if (step, phase) == ("postgres.renew", "finished"):
            renewed.set()

    async with opened(colour, rig.settings.model_copy(update=_BEAT)) as store:
        with listen(heard), observe() as steps:
            (saved,) = await save(store, tenant, [slow_note(lambda: renewed.wait(10))], "slow")
        assert renewed.is_set()
        assert steps.count("postgres.stage") == 1
        content = await settle(repository(store, tenant, Note).read(saved.ref_id, "content"))
    assert content == b"content of slow"
    assert rig.reader.writes(tenant, "committed") == 1


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_write_that_was_taken_over_during_its_upload_is_begun_anew(rig: Rig, colour: str) -> None:
    """A renewal that finds the write aborted ends the wave, and the save is made by a fresh write."""
    tenant, taken = uuid4(), threading.Event()

    def take_over() -> None:
        if not taken.is_set():
            taken.set()
            abort_all(rig.settings, tenant)

    async with opened(colour, rig.settings.model_copy(update=_BEAT)) as store:
        lost = threading.Event()

        def heard(step: str, phase: Phase) -> None:
            if (step, phase) == ("postgres.renew", "finished"):
                lost.set()

        def stop() -> None:
            take_over()
            lost.wait(10)

        with listen(heard), observe() as steps:
            await save(store, tenant, [slow_note(stop)], "slow")
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
