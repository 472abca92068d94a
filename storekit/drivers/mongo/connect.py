"""Connect to MongoDB."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import pymongo
from bson.codec_options import CodecOptions
from pymongo import ReadPreference, WriteConcern, errors
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri

from storekit.drivers.tls import is_local, refuse
from storekit.errors import ConfigurationError
from storekit.settings import Settings, Tls

_UNVERIFIED = ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")
_NAME = re.compile(r"""[^/\\. "$*<>:|?\0]{1,63}""")
"""The names of databases that MongoDB takes on every platform."""


def connect(settings: Settings, *, asynchronous: bool = False) -> Any:
    """Create a client, which connects at its first use.

    Raises:
        ConfigurationError: MONGO_URL is not set, cannot be parsed, or would connect to another machine
            without TLS that verifies the server; MONGO_DATABASE is not a valid name.
    """
    if settings.mongo_url is None:
        raise ConfigurationError("MONGO_URL is not set; it is needed for records with documents")
    if not _NAME.fullmatch(settings.mongo_database):
        raise ConfigurationError(
            f"MONGO_DATABASE is {settings.mongo_database!r}; the name of a MongoDB database has 1 to 63 "
            'characters and none of / \\ . " $ * < > : | ? and space'
        )
    url = settings.mongo_url.get_secret_value()
    milliseconds = int(settings.timeout.total_seconds() * 1000)
    kind = pymongo.AsyncMongoClient if asynchronous else pymongo.MongoClient
    tls = {} if settings.mongo_tls is Tls.OPTIONAL else _secured(url)
    # The message of pymongo may contain the password, so its exception must not be the context of ours.
    with suppress(errors.PyMongoError, ValueError):
        return kind(
            url,
            **tls,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            timeoutMS=milliseconds,  # for the whole operation, including its retry
            # With a weaker write concern a failover could roll back a document that a Postgres commit refers
            # to.
            w="majority",
            journal=True,
            appname="storekit",
        )
    raise _unparsable()


def database(client: Any, name: str, codec: CodecOptions[Any] | None = None) -> Any:
    """Return a database of the client. Concerns and read preference do not depend on MONGO_URL.

    A secondary might not have a document yet, and a read that is not of the majority could return one that
    a failover rolls back.
    """
    return client.get_database(
        name,
        codec_options=codec,
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority", j=True),
        read_concern=ReadConcern("majority"),
    )


def _secured(url: str) -> dict[str, Any]:
    """Return the options that make the client verify each server before it sends a credential.

    Raises:
        ConfigurationError: the URL cannot be parsed, or asks for less.
    """
    options, hosts = _parsed(url)
    weak = next((name for name in _UNVERIFIED if options.get(name)), None)
    if hosts is not None and all(map(is_local, hosts)) and not options.get("tls"):
        # A replica set may name other hosts than the URL: nothing is sent to those.
        return {"server_selector": _local_only}
    place = ",".join(hosts) if hosts else "the host of mongodb+srv"
    if options.get("tls") is False:
        raise refuse("MONGO_URL", place, "tls=false sends passwords and documents in the clear", "omit it")
    if weak is not None:
        raise refuse("MONGO_URL", place, f"{weak}=true does not verify the identity of the server", "omit it")
    return {"tls": True}


def _parsed(url: str) -> tuple[Mapping[str, Any], list[str] | None]:
    """Return the options and the hosts of a URL; None for the hosts of mongodb+srv, which are in DNS."""
    scheme, _, rest = url.partition("://")
    with suppress(errors.PyMongoError, ValueError):
        if scheme == "mongodb+srv":
            options = dict(parse_qsl(rest.partition("?")[2]))
            named = {
                name: value.lower() == "true" for name, value in options.items() if name.startswith("tls")
            }
            return named | ({"tls": options["ssl"].lower() == "true"} if "ssl" in options else {}), None
        found = parse_uri(url, warn=True)
        return found["options"], [host for host, _ in found["nodelist"]]
    raise _unparsable()


def _local_only(servers: Sequence[Any]) -> list[Any]:
    return [each for each in servers if is_local(each.address[0])]


def _unparsable() -> ConfigurationError:
    return ConfigurationError(
        "MONGO_URL cannot be parsed; it must be mongodb://login:password@host:port, with login and password "
        "percent-encoded"
    )
