"""A reader that does not use storekit: three drivers, SQL and SHA-256."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import boto3
import psycopg
import pymongo
from psycopg.rows import dict_row

from storekit import Settings

_NOTES = "SELECT title, details_ref, content_ref FROM fault_notes WHERE tenant_id = %s"
_PART = "SELECT * FROM storekit.part WHERE tenant_id = %s AND part_id = %s"
_EVENTS = "SELECT count(*) AS n, count(DISTINCT ref_id) AS records FROM storekit.event WHERE tenant_id = %s"
_WRITES = "SELECT count(*) AS n FROM storekit.write WHERE tenant_id = %s AND state = %s"
_TITLES = (
    "SELECT name AS title FROM runs WHERE tenant_id = %s "
    "UNION ALL SELECT title FROM fault_notes WHERE tenant_id = %s"
)
_RECORDS = """
    WITH there AS (
        SELECT 'runs' AS entity, ref_id, version, name AS label FROM runs
        UNION ALL SELECT 'fault_notes', ref_id, version, title FROM fault_notes
        UNION ALL SELECT 'hits', ref_id, version, external_id FROM hits
        UNION ALL SELECT 'leads', ref_id, version, number || '=' || score FROM leads
        UNION ALL SELECT 'storekit.cursor', ref_id, version, name || '=' || "position" FROM storekit.cursor
    ), events AS (
        SELECT entity, ref_id, array_agg(version ORDER BY version) AS versions
        FROM storekit.event WHERE tenant_id = %s GROUP BY entity, ref_id
    )
    SELECT entity, label, version, versions FROM there FULL JOIN events USING (entity, ref_id) ORDER BY 1, 2
"""
"""A full join: a row without events, or events without a row, have NULLs."""
_WITH_PAYLOAD = (
    "SELECT external_id AS title, payload_ref AS details_ref FROM hits "
    "WHERE tenant_id = %s AND payload_ref IS NOT NULL"
)


class Reader:
    """Reads what any other client of the three servers would see."""

    def __init__(self, settings: Settings) -> None:
        self._closing = ExitStack()
        self._turn = Lock()
        assert settings.postgres_url
        assert settings.mongo_url
        assert settings.s3_secret_key
        self._url = settings.postgres_url.get_secret_value()
        self._postgres = self._connected()
        mongo: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            settings.mongo_url.get_secret_value(), uuidRepresentation="standard"
        )
        self._mongo = self._closing.enter_context(mongo)[settings.mongo_database]
        self._bucket = settings.s3_bucket or ""
        self._s3 = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        )
        self._closing.callback(self._s3.close)

    def close(self) -> None:
        self._closing.close()

    def connect_again(self) -> None:
        """Reconnect after a restart of Postgres."""
        self._postgres = self._connected()

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        while True:
            try:
                found = psycopg.connect(self._url, autocommit=True, row_factory=dict_row)
            except psycopg.OperationalError:
                continue  # the server is still starting
            return self._closing.enter_context(found)

    def complete_records(self, tenant: UUID) -> int:
        """Count the visible records, after checking that each has all of its parts and exactly one event."""
        with self._snapshot(tenant):  # a commit may still be in progress
            for row in self._rows(_NOTES, tenant):
                self._check_document(tenant, row)
                self._check_blob(tenant, row)
            titles = [row["title"] for row in self._rows(_TITLES, tenant, tenant)]
            (events,) = self._rows(_EVENTS, tenant)
        assert len(set(titles)) == len(titles), f"a record was saved twice: {titles}"
        assert events == {"n": len(titles), "records": len(titles)}
        return len(titles)

    def records(self, tenant: UUID) -> list[tuple[str, str, int]]:
        """Return all visible records, after checking that each is complete and has one event per version."""
        with self._snapshot(tenant):
            for row in self._rows(_NOTES, tenant):
                self._check_document(tenant, row)
                self._check_blob(tenant, row)
            for row in self._rows(_WITH_PAYLOAD, tenant):
                self._check_document(tenant, row)
            found = self._rows(_RECORDS, tenant)
        for row in found:
            assert row["version"], f"{row['entity']}: events of a record that is not there: {row['versions']}"
            assert row["versions"] == list(range(1, row["version"] + 1)), row
        return [(row["entity"], row["label"], row["version"]) for row in found]

    def writes(self, tenant: UUID, state: str) -> int:
        """Count the writes of a tenant in a state."""
        with self._snapshot(tenant):
            return int(self._rows(_WRITES, tenant, state)[0]["n"])

    def stored(self, tenant: UUID) -> tuple[int, int]:
        """Count everything that was ever sent: S3 objects and MongoDB documents, visible or not."""
        listed = self._s3.list_object_versions(Bucket=self._bucket, Prefix=f"{tenant}/")
        documents = self._mongo["fault_details"].count_documents({"tenantId": tenant})
        return len(listed.get("Versions", [])), documents

    def titles(self, tenant: UUID) -> list[str]:
        """Return the titles of the visible records."""
        with self._snapshot(tenant):
            return [row["title"] for row in self._rows(_TITLES, tenant, tenant)]

    @contextmanager
    def _snapshot(self, tenant: UUID) -> Iterator[None]:
        """Read one snapshot as the app does: it contains only rows of the tenant."""
        with self._turn, self._postgres.transaction():
            self._postgres.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._postgres.execute("SELECT set_config('storekit.tenant', %s, true)", [str(tenant)])
            yield

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return self._postgres.execute(query.encode(), values).fetchall()

    def _part(self, tenant: UUID, part_id: UUID | None) -> dict[str, Any]:
        assert part_id is not None, "a visible row lacks a part"
        (part,) = self._rows(_PART, tenant, part_id)
        assert part["state"] == "committed"
        return part

    def _check_document(self, tenant: UUID, row: dict[str, Any]) -> None:
        part = self._part(tenant, row["details_ref"])
        document = self._mongo[part["key"]].find_one({"_id": part["part_id"], "tenantId": tenant})
        assert document is not None, "a visible ref leads to no document"
        assert document["body"] == {"text": f"details of {row['title']}"}

    def _check_blob(self, tenant: UUID, row: dict[str, Any]) -> None:
        part = self._part(tenant, row["content_ref"])
        found = self._s3.get_object(Bucket=self._bucket, Key=part["key"], VersionId=part["version_id"])
        body = found["Body"].read()
        assert body == f"content of {row['title']}".encode()
        assert sha256(body).digest() == part["sha256"]


def address(url: str) -> tuple[str, int]:
    """Return the address that a server listens on."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port
