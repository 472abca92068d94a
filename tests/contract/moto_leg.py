"""The leg of mocks: moto as the S3 server, mongomock as MongoDB, and a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
import mongomock
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from storekit import Settings, Store
from storekit.drivers.mongo.clients import OneClient
from storekit.drivers.mongo.documents import CODEC, MongoDocuments
from storekit.drivers.runtime import ThreadRuntime
from storekit.drivers.s3.control import ensure_bucket

_Codec = CodecOptions[dict[str, Any]]
_BSON: _Codec = CodecOptions(tz_aware=True)
"""How mongomock keeps values: it knows neither UUID nor Decimal, but the BSON types that stand for them."""


class _Collection:
    """A mongomock collection behind the driver's codec, because mongomock does not accept a codec."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def insert_many(self, documents: list[RawBSONDocument], ordered: bool) -> None:
        self._collection.insert_many([bson.decode(d.raw, _BSON) for d in documents], ordered=ordered)

    def find(self, query: dict[str, Any]) -> _Found:
        found = self._collection.find(bson.decode(bson.encode(query, codec_options=CODEC), _BSON))
        return _Found(RawBSONDocument(bson.encode(document, codec_options=_BSON)) for document in found)


class _Found(list[RawBSONDocument]):
    def to_list(self) -> list[RawBSONDocument]:
        return list(self)


class _Client:
    def __init__(self) -> None:
        self._client: Any = mongomock.MongoClient(tz_aware=True)

    def get_database(self, name: str, **options: object) -> _Database:
        return _Database(self._client.get_database(name))

    def close(self) -> None:
        self._client.close()


class _Database:
    def __init__(self, database: Any) -> None:
        self._database = database

    def __getitem__(self, name: str) -> _Collection:
        return _Collection(self._database[name])


@contextmanager
def moto_store(real: Settings) -> Iterator[Store]:
    """Open a sync store on the mocks and on the Postgres of `real`."""
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
    store = Store(
        settings, drivers={"documents": MongoDocuments(OneClient(_Client()), "mocked", ThreadRuntime(1))}
    )
    try:
        yield store
    finally:
        store.close()
        server.stop()
