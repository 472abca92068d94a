"""Create collections with their validators and TTL indexes. `migrate` calls it; it can be repeated."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pymongo.errors import CollectionInvalid

from storekit.drivers.mongo.connect import connect
from storekit.drivers.mongo.documents import translated
from storekit.schema import files
from storekit.settings import Settings


def ensure_collections(settings: Settings, names: Iterable[str]) -> None:
    """Create missing collections and indexes, and update validators.

    Raises:
        ConfigurationError: the credentials lack a permission.
        Unavailable: MongoDB cannot be reached.
    """
    validator = json.loads((files.root() / "mongo" / "part.json").read_text())
    with connect(settings) as client, translated(client):
        database = client[settings.mongo_database]
        for name in names:
            _ensure(database, name, validator)


def _ensure(database: Any, name: str, validator: dict[str, Any]) -> None:
    try:
        database.create_collection(name, validator=validator)
    except CollectionInvalid:
        database.command("collMod", name, validator=validator)
    # Each document contains the time of its expiry, so the index adds no seconds to it.
    database[name].create_index("expiresOn", expireAfterSeconds=0, name="expiresOn_ttl")
