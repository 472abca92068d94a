"""The three servers, read with their own clients and without storekit."""

from __future__ import annotations

import hashlib
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import boto3
import psycopg
import pymongo
from botocore.exceptions import ClientError
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import SecretStr

from storekit.errors import Corrupt
from storekit.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Row = dict[str, Any]
_CHUNK = 1 << 20


def expect(what: str, expected: object, found: object) -> None:
    """Compare a value from a server with the expected one.

    Raises:
        Corrupt: they differ.
    """
    if expected != found:
        raise Corrupt(what, str(expected), str(found))


class Servers:
    """Clients of the servers for one tenant: psycopg with the login of the app, pymongo and boto3."""

    def __init__(self, settings: Settings, tenant: UUID) -> None:
        self._bucket = settings.s3_bucket or ""
        self._postgres = psycopg.connect(_open(settings.postgres_url), row_factory=dict_row)
        self._postgres.execute("SELECT set_config('storekit.tenant', %s, false)", [str(tenant)])
        self._postgres.commit()
        self._postgres.autocommit = True
        self._mongo: pymongo.MongoClient[Row] = pymongo.MongoClient(
            _open(settings.mongo_url), uuidRepresentation="standard", tz_aware=True
        )
        self._documents = self._mongo[settings.mongo_database]
        self._s3: S3Client = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=_open(settings.s3_secret_key),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._postgres.close()
        self._mongo.close()
        self._s3.close()

    def row(self, table: str, ref_id: str) -> Row:
        """Read all columns of a row in Postgres."""
        query = sql.SQL("SELECT * FROM {} WHERE ref_id = %s").format(sql.Identifier(table))
        rows = self._postgres.execute(query, [ref_id]).fetchall()
        expect(f"rows of {table} {ref_id}", 1, len(rows))
        return rows[0]

    def count(self, table: str) -> int:
        """Return the number of rows that the tenant can read."""
        query = sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(table))
        return int(self._postgres.execute(query).fetchall()[0]["n"])

    def part(self, part_id: UUID) -> Row:
        """Read a part of the ledger."""
        query = "SELECT * FROM storekit.part WHERE part_id = %s"
        return self._postgres.execute(query, [part_id]).fetchone() or {}

    def parts(self) -> list[Row]:
        """Read all parts of the ledger, oldest first."""
        return self._postgres.execute("SELECT * FROM storekit.part ORDER BY part_id").fetchall()

    def events(self) -> list[Row]:
        """Read all events, oldest first."""
        return self._postgres.execute("SELECT * FROM storekit.event ORDER BY id").fetchall()

    def document(self, part: Row) -> Row:
        """Read a document of MongoDB."""
        return self._documents[part["key"]].find_one({"_id": part["part_id"]}) or {}

    def content(self, part: Row) -> tuple[int, str]:
        """Read an object of S3, and return its size and SHA-256."""
        pinned = {"VersionId": part["version_id"]} if part["version_id"] else {}
        try:
            response = self._s3.get_object(Bucket=self._bucket, Key=part["key"], **pinned)
        except ClientError as error:
            raise Corrupt(f"object {part['key']}", "its bytes", error.response["Error"]["Code"]) from error
        digest = hashlib.sha256()
        with closing(response["Body"]) as body:
            for chunk in body.iter_chunks(_CHUNK):
                digest.update(chunk)
        return response["ContentLength"], digest.hexdigest()


def _open(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
