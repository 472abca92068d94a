"""The legs on other servers than the embedded ones: Postgres 15, and PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from storekit import Settings
from storekit.deploy.migrate import migrate
from storekit.drivers.postgres.admin.runner import grant
from storekit.schema.ddl import render
from tests.support.entities import ENTITIES
from tests.support.pgbouncer import PROGRAM, behind_pgbouncer
from tests.support.postgres import MEMBERS, fresh_cluster, fresh_database, write_line

__all__ = ["MATRIX", "behind_pgbouncer", "missing_packages", "postgres_15"]

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
_PACKAGES = {"postgresql-15": (POSTGRES_15 / "postgres").exists(), "pgbouncer": PROGRAM is not None}
"""Debian's packages, and whether they are here."""
MATRIX = tuple(
    f"{api}-{servers}"
    for servers in ("postgres15", "pgbouncer", "pgbouncer-postgres15")
    for api in ("sync", "async")
)
"""The legs that only `make test-matrix` adds."""


def missing_packages() -> list[str]:
    """Return the Debian packages that the matrix needs and that are not installed."""
    return [package for package, here in _PACKAGES.items() if not here]


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
        migrate(settings, [write_line(directory, "app", render(*ENTITIES))])
        grant(database.url("admin"), MEMBERS)
        yield settings
