"""A database with the shipped migrations, those of the core and of agency, and its mirror."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storekit.cli.mirror import renew
from storekit.drivers.postgres.admin.mirror import read
from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.schema.lines import core, shipped
from tests.support.postgres import MEMBERS, Database, fresh_cluster, fresh_database

MIRROR = Path(__file__).parents[2] / "schemas" / "postgres" / "mirror"


@contextmanager
def shipped_database(cluster: str) -> Iterator[Database]:
    """Migrate a new database, and make the logins members of their roles."""
    with fresh_database(cluster) as database:
        migrate(database.url("admin"), [core(), shipped("agency")])
        grant(database.url("admin"), MEMBERS)
        yield database


def mirrored(database: Database) -> dict[str, str]:
    """Read the files of the mirror with the admin's login."""
    with database.connect("admin") as connection:
        return read(connection)


if __name__ == "__main__":
    with fresh_cluster() as cluster, shipped_database(cluster) as fresh:
        renew(MIRROR, mirrored(fresh))
