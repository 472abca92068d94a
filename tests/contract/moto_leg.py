"""The leg of mocks: moto as an S3 server, mongomock for MongoDB, and the real Postgres as the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
import mongomock
from bson.codec_options import CodecOptions
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from storekit import Settings, Store
from storekit.drivers.mongo.documents import CODEC, MongoDocuments
from storekit.drivers.s3.control import ensure_bucket

_Codec = CodecOptions[dict[str, Any]]
_BSON: _Codec = CodecOptions(tz_aware=True)
"""How mongomock keeps values: it knows neither UUID nor Decimal, but the BSON types that stand for them."""


class _Collection:
    """mongomock's collection behind the codec of the driver, which mongomock cannot be given."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def insert_many(self, documents: list[dict[str, Any]], ordered: bool) -> None:
        self._collection.insert_many([_recoded(d, CODEC, _BSON) for d in documents], ordered=ordered)

    def find(self, query: dict[str, Any]) -> _Found:
        found = self._collection.find(_recoded(query, CODEC, _BSON))
        return _Found(_recoded(document, _BSON, CODEC) for document in found)


class _Found(list[dict[str, Any]]):
    def to_list(self) -> list[dict[str, Any]]:
        return list(self)


class _Client:
    def __init__(self) -> None:
        self._client = mongomock.MongoClient(tz_aware=True)

    def get_database(self, name: str, codec_options: object) -> _Database:
        return _Database(self._client.get_database(name))

    def close(self) -> None:
        self._client.close()


class _Database:
    def __init__(self, database: Any) -> None:
        self._database = database

    def __getitem__(self, name: str) -> _Collection:
        return _Collection(self._database[name])


def _recoded(
    document: dict[str, Any], source: CodecOptions[Any], target: CodecOptions[Any]
) -> dict[str, Any]:
    return bson.decode(bson.encode(document, codec_options=source), codec_options=target)


@contextmanager
def moto_store(real: Settings) -> Iterator[Store]:
    """Open a synchronous store over the mocks and the ledger of `real`."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    changes = {
        "s3_endpoint_url": f"http://{host}:{port}",
        "s3_bucket": "mocked",
        "s3_access_key": "mock",
        "s3_secret_key": SecretStr("mock"),
        "mongo_url": None,
    }
    settings = real.model_copy(update=changes)
    ensure_bucket(settings)
    store = Store(settings, drivers={"documents": MongoDocuments(_Client(), "mocked")})
    try:
        yield store
    finally:
        store.close()
        server.stop()
