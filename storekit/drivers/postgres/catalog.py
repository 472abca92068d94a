"""What the database itself says of the declared fields."""

from __future__ import annotations

from storekit.drivers.postgres.migrate import connect


def collections(admin_url: str) -> list[str]:
    """Name every collection that a declared document is kept in."""
    query = "SELECT DISTINCT collection FROM storekit.field WHERE collection IS NOT NULL ORDER BY 1"
    with connect(admin_url) as connection, connection.transaction():
        connection.execute("SET LOCAL ROLE storekit_owner")
        return [name for (name,) in connection.execute(query)]
