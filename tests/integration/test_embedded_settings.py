"""The settings that a user gives to an embedded store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from storekit import AsyncStore, Blob, Settings, Store
from storekit.errors import UsageError
from tests.support.entities import ENTITIES, Note

LIMITS = Settings(pool_size=3, pool_wait=timedelta(seconds=1.5), max_url_lifetime=timedelta(seconds=7))


def test_the_settings_apply(stack: Path, embedded: Store) -> None:
    """Limits and sizes of the pool apply to the store; addresses and credentials are those of its servers."""
    with Store.embedded(stack, ENTITIES, settings=LIMITS) as store:
        given = {name: getattr(store.settings, name) for name in LIMITS.model_fields_set}
        assert LIMITS.model_copy(update=given) == LIMITS
        others = {name: getattr(embedded.settings, name) for name in given}
        assert store.settings.model_copy(update=others) == embedded.settings
        notes = store.scope(tenant=uuid4(), actor="a").repository(Note)
        note = notes.save(Note(title="one", content=Blob(b"text")))
        assert "X-Amz-Expires=7" in notes.url(note.ref_id, "content", expires_in=7)
        with pytest.raises(UsageError, match="7"):
            notes.url(note.ref_id, "content", expires_in=8)


async def test_the_settings_apply_async(stack: Path, embedded: Store) -> None:
    """The async store applies them too."""
    async with AsyncStore.embedded(stack, ENTITIES, settings=LIMITS) as store:
        assert store.settings.pool_size == 3
        assert store.settings.postgres_url == embedded.settings.postgres_url


@pytest.mark.parametrize(
    "wrong",
    [
        Settings(postgres_url=SecretStr("postgresql://hush@example.com/db")),
        Settings(s3_bucket="other", pool_size=3),
        Settings(s3_session_token=SecretStr("hush")),
        Settings(mongo_database="other"),
    ],
)
def test_addresses_are_refused(tmp_path: Path, wrong: Settings) -> None:
    """An address or credential of another server is refused with its name, before a server starts."""
    name = next(name for name in wrong.model_fields_set if name != "pool_size")
    with pytest.raises(UsageError, match=f"must not contain {name};") as caught:
        Store.embedded(tmp_path / "stack", settings=wrong)
    assert "hush" not in str(caught.value)
    assert not (tmp_path / "stack").exists()
