"""Check MongoDB: one command on one connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storekit.drivers.mongo.connect import connect
from storekit.drivers.mongo.documents import translated
from storekit.settings import Settings

_VERSIONS = {13: "5.0", 17: "6.0", 21: "7.0", 25: "8.0", 26: "8.1", 27: "8.2"}
"""The version of MongoDB for each version of its protocol, which a connection reports without a trip."""
_OLDEST = 13
_WRITING = {"readWrite", "dbOwner", "readWriteAnyDatabase", "root", "__system"}


def check(settings: Settings) -> tuple[str, list[tuple[str, str]]]:
    """Return the version of the server, and its problems with their remedies.

    Raises:
        ConfigurationError: the login was refused, or the URL cannot be used.
        Unavailable: the server cannot be reached.
    """
    with connect(settings) as client, translated(client):
        found = client.admin.command({"connectionStatus": 1, "showPrivileges": True})["authInfo"]
        servers = client.topology_description.server_descriptions().values()
        protocol = max(each.max_wire_version for each in servers)
    version = _VERSIONS.get(protocol, f"with protocol {protocol}")
    return version, list(_problems(settings, protocol, found))


def _problems(settings: Settings, protocol: int, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if protocol < _OLDEST:
        yield f"its protocol {protocol} is too old", "use MongoDB 5.0 or newer"
    database = settings.mongo_database
    if found["authenticatedUsers"] and not _may_write(database, found):
        user = found["authenticatedUsers"][0]["user"]
        yield (
            f"the user {user} may not read and write the database {database}",
            f'grant it the role {{role: "readWrite", db: "{database}"}}',
        )


def _may_write(database: str, found: Mapping[str, Any]) -> bool:
    roles, privileges = found["authenticatedUserRoles"], found.get("authenticatedUserPrivileges") or []
    if any(each["role"] in _WRITING and each["db"] in {database, "admin"} for each in roles):
        return True
    # The rights of a custom role are in the privileges, which some servers leave out.
    own = [each["actions"] for each in privileges if each["resource"].get("db") in {database, ""}]
    return {"find", "insert"} <= {action for actions in own for action in actions}
