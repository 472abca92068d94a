"""Collections as storekit needs them: validators and TTL indexes. Idempotent; run by `migrate`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pymongo.errors import CollectionInvalid

from storekit.drivers.mongo.documents import connect, translated
from storekit.schema import files
from storekit.settings import Settings


def ensure_collections(settings: Settings, names: Iterable[str]) -> None:
    """Create what is missing, and bring validators up to date.

    Raises:
        ConfigurationError: the credentials may not do it.
        Unavailable: MongoDB could not be reached.
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
    # the instant is in the document: zero seconds after it
    database[name].create_index("expiresOn", expireAfterSeconds=0, name="expiresOn_ttl")
