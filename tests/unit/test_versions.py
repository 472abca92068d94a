"""Which Postgres will do."""

from __future__ import annotations

import pytest

from storekit.drivers.postgres.pool.versions import unsupported


@pytest.mark.parametrize("version", [150014, 150018, 160010, 170006, 180000, 190001])
def test_a_sound_release_will_do(version: int) -> None:
    """From the release that closed the holes on, and in later majors, nothing is said."""
    assert unsupported(version) is None


@pytest.mark.parametrize(
    ("version", "why"),
    [(140020, "too old"), (150013, "15.14 or newer"), (160009, "16.10 or newer"), (170005, "17.6 or newer")],
)
def test_an_unsound_release_is_told_what_will_do(version: int, why: str) -> None:
    """An older release is named with the one to take."""
    assert why in (unsupported(version) or "")
