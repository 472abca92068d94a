"""Connect to MongoDB."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pymongo
from pymongo import errors

from storekit.errors import ConfigurationError
from storekit.settings import Settings


def connect(settings: Settings, *, asynchronous: bool = False) -> Any:
    """Create a client, which connects at its first use.

    Raises:
        ConfigurationError: MONGO_URL is not set or cannot be parsed.
    """
    if settings.mongo_url is None:
        raise ConfigurationError("MONGO_URL is not set; it is needed for records with documents")
    milliseconds = int(settings.timeout.total_seconds() * 1000)
    kind = pymongo.AsyncMongoClient if asynchronous else pymongo.MongoClient
    # The message of pymongo may contain the password, so its exception must not be the context of ours.
    with suppress(errors.PyMongoError, ValueError):
        return kind(
            settings.mongo_url.get_secret_value(),
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            timeoutMS=milliseconds,  # for the whole operation, including its retry
            # With a weaker write concern a failover could roll back a document that a Postgres commit refers
            # to.
            w="majority",
            journal=True,
            appname="storekit",
        )
    raise ConfigurationError(
        "MONGO_URL cannot be parsed; it must be mongodb://login:password@host:port, with login and password "
        "percent-encoded"
    )
