"""Supported versions of Postgres."""

from __future__ import annotations

import pytest

from storekit.drivers.postgres.pool.versions import unsupported


@pytest.mark.parametrize("version", [150014, 150018, 160010, 170006, 180000, 190001])
def test_a_fixed_release_is_accepted(version: int) -> None:
    """Releases with the required security fixes, and later majors, are accepted."""
    assert unsupported(version) is None


@pytest.mark.parametrize(
    ("version", "why"),
    [(140020, "too old"), (150013, "15.14 or newer"), (160009, "16.10 or newer"), (170005, "17.6 or newer")],
)
def test_an_outdated_release_is_refused(version: int, why: str) -> None:
    """An older release is refused with the release to install."""
    assert why in (unsupported(version) or "")
