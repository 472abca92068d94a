"""The limits of a pool in the environment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import ConfigurationError, Settings


def test_a_pool_keeps_2_to_30_connections_for_30_s() -> None:
    """The defaults: 2 stay, 30 at most, 30 s idle, 30 s of waiting, 1,000 that wait."""
    found, half_a_minute = Settings(), timedelta(seconds=30)
    assert (found.pool_min, found.pool_size, found.pool_queue) == (2, 30, 1000)
    assert (found.pool_idle, found.pool_wait) == (half_a_minute, half_a_minute)


def test_the_environment_tells_seconds_in_figures() -> None:
    """A bare number is seconds, an ISO 8601 duration is understood, and what is written can be read."""
    found = Settings.from_env(
        {
            "POSTGRES_POOL_MIN": "1",
            "POSTGRES_POOL_SIZE": "5",
            "POSTGRES_POOL_IDLE": "0.5",
            "POSTGRES_POOL_WAIT": "PT2M",
            "POSTGRES_POOL_QUEUE": "7",
        }
    )
    assert (found.pool_min, found.pool_size, found.pool_queue) == (1, 5, 7)
    assert (found.pool_idle, found.pool_wait) == (timedelta(seconds=0.5), timedelta(minutes=2))
    assert Settings.from_env(found.to_env()) == found


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("POSTGRES_POOL_MIN", "-1"),
        ("POSTGRES_POOL_SIZE", "0"),
        ("POSTGRES_POOL_IDLE", "0"),
        ("POSTGRES_POOL_WAIT", "soon"),
        ("POSTGRES_POOL_WAIT", "-3"),
        ("POSTGRES_POOL_WAIT", "nan"),
        ("POSTGRES_POOL_WAIT", "inf"),
        ("POSTGRES_POOL_QUEUE", "1.5"),
        ("POSTGRES_POOL_QUEUE", "0"),
    ],
)
def test_a_limit_that_cannot_be_meant_names_its_variable(variable: str, value: str) -> None:
    """Nonsense in the environment is a ConfigurationError that names the variable."""
    with pytest.raises(ConfigurationError, match=variable):
        Settings.from_env({variable: value})
