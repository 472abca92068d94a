"""A database with the shipped migrations, those of the core and of agency, and its mirror."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from storekit.cli.mirror import renew
from storekit.drivers.postgres.admin.mirror import read
from tests.support.postgres import Database, fresh_cluster, migrated_database

MIRROR = Path(__file__).parents[2] / "schemas" / "postgres" / "mirror"


def shipped_database(cluster: str) -> AbstractContextManager[Database]:
    """Create a database with all shipped lines."""
    return migrated_database(cluster, "agency")


def mirrored(database: Database) -> dict[str, str]:
    """Read the files of the mirror with the admin's login."""
    with database.connect("admin") as connection:
        return read(connection)


if __name__ == "__main__":
    with fresh_cluster() as cluster, shipped_database(cluster) as fresh:
        renew(MIRROR, mirrored(fresh))
