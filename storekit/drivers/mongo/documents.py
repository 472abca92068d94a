"""The documents port over pymongo, whose sync and async clients have the same methods."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

from bson import decode, encode
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, TypeCodec, TypeDecoder, TypeRegistry
from bson.decimal128 import Decimal128
from bson.errors import InvalidBSON
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from pymongo import errors

from storekit.bridge import settle
from storekit.drivers.mongo.clients import Clients
from storekit.drivers.mongo.connect import database
from storekit.errors import ConfigurationError, Corrupt, Unavailable, ValidationError, WriteLost
from storekit.ports.stores import UNDECODED, DocumentPut, Runtime, aside

_DUPLICATE_KEY = 11000
_REFUSED_BY_VALIDATOR = 121
_NOT_AUTHORISED = {13, 18}
_TLS_FAILURE = re.compile("SSL handshake failed|certificate verify failed|WRONG_VERSION_NUMBER")


class _DecimalCodec(TypeCodec):
    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


class _IntegerDecoder(TypeDecoder):
    """Decode 64-bit integers as int. By default pymongo returns Int64, its subclass of int."""

    bson_type = Int64

    def transform_bson(self, value: Int64) -> int:
        return int(value)


CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    type_registry=TypeRegistry([_DecimalCodec(), _IntegerDecoder()]),
)
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument, uuid_representation=UuidRepresentation.STANDARD
)


class MongoDocuments:
    """Documents by part id, written once and never changed.

    pymongo gets and returns documents as raw BSON: its async client would encode and decode them on the event
    loop, which a document of 15 MB would block. Large documents are encoded in a thread instead.
    """

    def __init__(self, clients: Clients, database: str, runtime: Runtime) -> None:
        self._clients, self._database, self._runtime = clients, database, runtime

    async def insert(self, puts: Sequence[DocumentPut]) -> None:
        client = await self._clients.client()
        collection = self._collection(client, puts[0].collection)
        encoded = await aside(self._runtime, sum(put.size for put in puts), lambda: _encoded(puts))
        with translated(client):
            try:
                # Unordered, so that the other documents are inserted even if one is a duplicate.
                await settle(collection.insert_many(encoded, ordered=False))
            except errors.BulkWriteError as error:
                await self._accept_own(puts, error)

    async def _accept_own(self, puts: Sequence[DocumentPut], error: errors.BulkWriteError) -> None:
        """Treat a duplicate id as success if the stored document is the one that was sent.

        Duplicates occur when pymongo or a flow repeats an insert whose first response was lost.
        """
        failures = (error.details or {}).get("writeErrors", [])
        if not failures or any(failure["code"] != _DUPLICATE_KEY for failure in failures):
            raise error
        sent = {puts[failure["index"]].document["_id"]: puts[failure["index"]] for failure in failures}
        tenant = puts[0].document["tenantId"]
        found = await self.fetch(puts[0].collection, tenant, list(sent))
        for part_id, put in sent.items():
            if found.get(part_id, {}).get("tombstone"):
                raise WriteLost(put.write_id, "its document was removed by a sweep") from error
            if found.get(part_id, {}).get("body") != put.document["body"]:
                raise Corrupt(f"document {part_id}", "the body that was sent", "another") from error

    async def fetch(
        self, collection: str, tenant: UUID, ids: Sequence[UUID]
    ) -> dict[UUID, Mapping[str, Any]]:
        query = {"_id": {"$in": list(ids)}, "tenantId": tenant}
        client = await self._clients.client()
        with translated(client):
            found = await settle(self._collection(client, collection).find(query).to_list())
        return await aside(self._runtime, sum(len(each.raw) for each in found), lambda: _decoded(found))

    def _collection(self, client: Any, name: str) -> Any:
        return database(client, self._database, _RAW)[name]

    async def close(self) -> None:
        await self._clients.close()


def _encoded(puts: Iterable[DocumentPut]) -> list[RawBSONDocument]:
    return [RawBSONDocument(encode(put.document, codec_options=CODEC), _RAW) for put in puts]


def _decoded(found: Iterable[RawBSONDocument]) -> dict[UUID, Mapping[str, Any]]:
    documents: dict[UUID, Mapping[str, Any]] = {}
    for each in found:
        try:
            document = decode(each.raw, CODEC)
        except InvalidBSON as error:  # such as the year 20000: another client changed the document
            document = {"_id": each["_id"], UNDECODED: str(error)}
        documents[document["_id"]] = document
    return documents


@contextmanager
def translated(client: Any) -> Iterator[None]:
    """Turn errors of pymongo into storekit's. None of them quotes MONGO_URL."""
    try:
        yield
    except errors.BulkWriteError as error:
        failure = ((error.details or {}).get("writeErrors") or [{}])[0]
        raise _refused(failure.get("code"), failure.get("errmsg", "write refused")) from error
    except errors.OperationFailure as error:
        raise _refused(error.code, str(error.details and error.details.get("errmsg", ""))) from error
    except errors.DocumentTooLarge as error:
        raise ValidationError("the document is larger than MongoDB's limit of 16 MB") from error
    except errors.ConfigurationError as error:
        raise ConfigurationError("MONGO_URL cannot be used; see the cause of this error") from error
    except errors.PyMongoError as error:
        if _TLS_FAILURE.search(str(error)):
            raise ConfigurationError(
                "the server of MONGO_URL does not offer TLS with a certificate that is trusted; set "
                "tlsCAFile in MONGO_URL to the certificate of its authority, or MONGO_TLS=optional if the "
                "network protects the connection",
                detail=_place(client),
            ) from error
        raise _unreachable(client, error) from error


def _place(client: Any) -> str:
    # The hosts are taken from the list of servers of the client, because the URL contains secrets.
    servers = client.topology_description.server_descriptions()
    return ",".join(sorted(f"{host}:{port}" if port else host for host, port in servers))


def _unreachable(client: Any, error: errors.PyMongoError) -> Unavailable:
    limit = f"within {client.options.timeout:g} s, which is timeout (STOREKIT_TIMEOUT)"
    if isinstance(error, errors.ServerSelectionTimeoutError):
        what = f"no connection to MONGO_URL {limit}"
    else:
        what = f"no response {limit}" if error.timeout else "the connection broke"
    return Unavailable("mongo", what, detail=f"{_place(client)}: {type(error).__name__}")


def _refused(code: int | None, message: str) -> Exception:
    if code == _REFUSED_BY_VALIDATOR:
        return ValidationError("the validator of the collection refused a document", detail=message)
    if code in _NOT_AUTHORISED:
        return ConfigurationError("mongo refused the credentials of MONGO_URL")
    return Unavailable("mongo", f"the server refused the operation ({code})", detail=message)
