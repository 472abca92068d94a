"""The same job written by hand: the same drivers, their defaults, one store after the other.

It promises less (a crash between two stores leaves bytes without a row) and its tables have neither
storekit's triggers nor its policies, so every comparison favours it.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias
from uuid import uuid4

import boto3
import psycopg
from botocore.config import Config
from psycopg_pool import ConnectionPool
from pymongo import MongoClient

from storekit import Settings
from storekit.ids import new_ref_id
from tests.bench.records import ACTOR, CONTENT, TENANT, detail

_TABLES = """
SET ROLE storekit_owner;
DROP SCHEMA IF EXISTS bench_naive CASCADE;
CREATE SCHEMA bench_naive;
CREATE TABLE bench_naive.report (
    tenant_id uuid NOT NULL, id uuid NOT NULL, ref_id text NOT NULL, title text NOT NULL,
    pages bigint NOT NULL, version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT now(), created_by text NOT NULL,
    detail_ref uuid NOT NULL, content_ref uuid NOT NULL,
    PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, ref_id)
);
CREATE TABLE bench_naive.part (
    tenant_id uuid NOT NULL, part_id uuid NOT NULL, store text NOT NULL, key text NOT NULL, version_id text,
    size bigint NOT NULL, media_type text, PRIMARY KEY (tenant_id, part_id)
);
GRANT USAGE ON SCHEMA bench_naive TO storekit_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA bench_naive TO storekit_app;
"""
_INSERT_PART = "INSERT INTO bench_naive.part VALUES (%s, %s, %s, %s, %s, %s, %s)"
_INSERT_REPORT = """INSERT INTO bench_naive.report
    (tenant_id, id, ref_id, title, pages, created_by, detail_ref, content_ref)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_SELECT_KEY = """SELECT p.key, p.version_id FROM bench_naive.report r
    JOIN bench_naive.part p ON p.tenant_id = r.tenant_id AND p.part_id = r.content_ref
    WHERE r.tenant_id = %s AND r.ref_id = %s"""


def create_tables(settings: Settings) -> None:
    """Create the tables again."""
    assert settings.postgres_admin_url is not None
    with psycopg.connect(settings.postgres_admin_url.get_secret_value()) as connection:
        connection.execute(_TABLES)


_Row: TypeAlias = tuple[Any, ...]


class Naive:
    """boto3, pymongo and a psycopg pool with its default transactions."""

    def __init__(self, settings: Settings) -> None:
        assert settings.postgres_url is not None
        assert settings.mongo_url is not None
        assert settings.s3_secret_key is not None
        self.bucket = settings.s3_bucket or ""
        self.s3 = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        self._mongo: MongoClient[dict[str, Any]] = MongoClient(
            settings.mongo_url.get_secret_value(), uuidRepresentation="standard", w="majority", journal=True
        )
        self._details = self._mongo[settings.mongo_database]["bench_naive_details"]
        self.pool = ConnectionPool(settings.postgres_url.get_secret_value(), min_size=1, open=True)

    def save(self) -> str:
        """Put, insert, then three statements and a commit."""
        return self.save_many(1)[0]

    def save_many(self, count: int, content: bytes = CONTENT) -> list[str]:
        """Put and insert one after the other, then insert all rows in one transaction."""
        made = [self._save_parts(content) for _ in range(count)]
        with self.pool.connection() as connection:
            for parts, report in made:
                for part in parts:
                    connection.execute(_INSERT_PART, part)
                connection.execute(_INSERT_REPORT, report)
        return [report[2] for _, report in made]

    def _save_parts(self, content: bytes) -> tuple[list[_Row], _Row]:
        """Save the parts of a record, and return the rows that refer to them."""
        detail_ref, content_ref, ref_id = uuid4(), uuid4(), new_ref_id()
        key = f"naive/{TENANT}/{content_ref}"
        version = self.put(key, content)
        body = detail()
        self._details.insert_one({"_id": detail_ref, "tenantId": TENANT, "refId": ref_id, "body": body})
        kind = "application/octet-stream"
        parts: list[_Row] = [
            (TENANT, content_ref, "s3", key, version, len(content), kind),
            (TENANT, detail_ref, "mongo", "details", None, len(json.dumps(body)), kind),
        ]
        return parts, (TENANT, uuid4(), ref_id, "Q3", 12, ACTOR, detail_ref, content_ref)

    def put(self, key: str, content: bytes = CONTENT) -> str:
        """Put the content."""
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType="application/pdf")
        return str(answer["VersionId"])

    def url(self, ref_id: str) -> str:
        """Look up the key and sign it."""
        with self.pool.connection() as connection:
            row = connection.execute(_SELECT_KEY, (TENANT, ref_id)).fetchone()
        assert row is not None
        return self.sign(row[0], row[1])

    def sign(self, key: str, version: str) -> str:
        """Sign with the parameters of storekit's URL."""
        wanted = {
            "Bucket": self.bucket,
            "Key": key,
            "VersionId": version,
            "ResponseCacheControl": "no-store",
            "ResponseContentDisposition": "attachment",
        }
        return str(self.s3.generate_presigned_url("get_object", Params=wanted, ExpiresIn=900))

    def close(self) -> None:
        """Close every connection."""
        self.pool.close()
        self._mongo.close()
        self.s3.close()
