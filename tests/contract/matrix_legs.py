"""The legs over other servers than the embedded ones: Postgres 15, and PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from storekit import Settings
from storekit.deploy.migrate import migrate
from storekit.drivers.postgres.admin.migrate import grant
from storekit.schema.ddl import render
from tests.support.entities import ENTITIES
from tests.support.pgbouncer import PROGRAM, behind_pgbouncer
from tests.support.postgres import MEMBERS, fresh_cluster, fresh_database, write_line

__all__ = ["behind_pgbouncer", "lacking", "legs", "not_run", "postgres_15"]

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
_PACKAGES = {"postgresql-15": (POSTGRES_15 / "postgres").exists(), "pgbouncer": PROGRAM is not None}
"""Debian's packages, and whether they are here."""
_NEEDS = {
    "postgres15": ["postgresql-15"],
    "pgbouncer": ["pgbouncer"],
    "pgbouncer-postgres15": ["pgbouncer", "postgresql-15"],
}
_MATRIX_ALONE = {"pgbouncer-postgres15"}
"""Each half of it has a leg in every run."""


def legs(*, matrix: bool) -> list[str]:
    """Name the legs that run here, in both colours."""
    places = [place for place in _NEEDS if not _lacks(place) and (matrix or place not in _MATRIX_ALONE)]
    return [f"{colour}-{place}" for place in places for colour in ("sync", "async")]


def lacking() -> list[str]:
    """Name the packages that the matrix lacks."""
    return [package for package, here in _PACKAGES.items() if not here]


def not_run() -> dict[str, str]:
    """Tell of each leg that runs in the matrix alone, or not at all, what makes it run."""
    found = {place: f"apt-get install {' '.join(_lacks(place))}" for place in _NEEDS if _lacks(place)}
    alone = [*_MATRIX_ALONE - found.keys(), "the SQL suites on Postgres 15"]
    return found | dict.fromkeys(alone, "make test-matrix")


def _lacks(place: str) -> list[str]:
    return [package for package in _NEEDS[place] if not _PACKAGES[package]]


@contextmanager
def postgres_15(embedded: Settings, directory: Path) -> Iterator[Settings]:
    """Run Debian's Postgres 15 beside the embedded S3 and MongoDB servers, with the tables of `entities`."""
    with fresh_cluster(POSTGRES_15) as cluster, fresh_database(cluster) as database:
        urls = {
            "postgres_url": SecretStr(database.url("app")),
            "postgres_admin_url": SecretStr(database.url("admin")),
            "postgres_worker_url": SecretStr(database.url("worker")),
            "postgres_reporter_url": None,
        }
        settings = embedded.model_copy(update=urls)
        migrate(settings, [write_line(directory, "app", *(render(entity) for entity in ENTITIES))])
        grant(database.url("admin"), MEMBERS)
        yield settings
