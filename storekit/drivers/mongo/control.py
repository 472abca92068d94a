"""Create collections with their validators and TTL indexes. `migrate` calls it; it can be repeated."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pymongo.errors import CollectionInvalid

from storekit.drivers.mongo.connect import connect, database
from storekit.drivers.mongo.documents import translated
from storekit.errors import ConfigurationError
from storekit.schema import files
from storekit.settings import Settings


def ensure_collections(settings: Settings, names: Iterable[str]) -> None:
    """Create missing collections and indexes, and update validators.

    Raises:
        ConfigurationError: a collection belongs to another application, or the credentials lack a
            permission. Nothing is changed if one of the collections belongs to another application.
        Unavailable: MongoDB cannot be reached.
    """
    names = list(names)
    with connect(settings) as client, translated(client):
        found = database(client, settings.mongo_database)
        for name in names:
            check_owned(found, name)
        for name in names:
            _ensure(found, name, _validator())


def check_owned(found: Any, name: str) -> bool:
    """Return whether the collection exists. Its validator and TTL index are set only if it is storekit's.

    A collection is storekit's if it has storekit's validator, or if it has no validator and contains only
    documents of storekit: if documents are saved before `migrate` has set MongoDB up, the first one creates
    the collection.

    Raises:
        ConfigurationError: the collection belongs to another application.
    """
    there = next(iter(found.list_collections(filter={"name": name})), None)
    if there is None:
        return False
    validator = _validator()
    schema = there.get("options", {}).get("validator", {}).get("$jsonSchema", {})
    if there.get("type", "collection") == "collection":
        if schema.get("title") == validator["$jsonSchema"]["title"]:
            return True
        if not schema and found[name].find_one() and not found[name].find_one({"$nor": [validator]}):
            return True
    raise ConfigurationError(
        f"the collection {name} of the MongoDB database {found.name} exists and is not storekit's: migrate "
        "would make it delete documents of another application; set MONGO_DATABASE to another database, or "
        "name another collection in the class: document(collection=...)"
    )


def _validator() -> dict[str, Any]:
    validator: dict[str, Any] = json.loads((files.root() / "mongo" / "part.json").read_text())
    return validator


def _ensure(found: Any, name: str, validator: dict[str, Any]) -> None:
    try:
        found.create_collection(name, validator=validator)
    except CollectionInvalid:
        check_owned(found, name)  # again: another application may have created it meanwhile
        found.command("collMod", name, validator=validator)
    # Each document contains the time of its expiry, so the index adds no seconds to it.
    found[name].create_index("expiresOn", expireAfterSeconds=0, name="expiresOn_ttl")
