"""Pool settings in the environment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storekit import ConfigurationError, Settings


def test_defaults_of_the_pool() -> None:
    """The defaults are 2 to 30 connections, 30 s idle, 30 s of waiting, and 1,000 waiting calls."""
    found, half_a_minute = Settings(), timedelta(seconds=30)
    assert (found.pool_min, found.pool_size, found.pool_queue) == (2, 30, 1000)
    assert (found.pool_idle, found.pool_wait) == (half_a_minute, half_a_minute)


def test_durations_are_seconds_or_iso_8601() -> None:
    """A number means seconds, an ISO 8601 duration is accepted, and `to_env` writes what `from_env` reads."""
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
def test_an_invalid_limit_names_its_variable(variable: str, value: str) -> None:
    """An invalid value in the environment raises ConfigurationError with the variable."""
    with pytest.raises(ConfigurationError, match=variable):
        Settings.from_env({variable: value})
