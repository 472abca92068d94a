"""Read records back from the servers, field by field, and compare them with what was saved."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from storekit.demo.inputs import Document
from storekit.demo.servers import Row, Servers, expect
from storekit.errors import Corrupt, Unavailable
from storekit.model.declare.entity import Entity
from storekit.model.table.table import Part

_CHUNK = 1 << 20
_MONGO_GRACE = timedelta(hours=1)
_SHOWN = 44


def read_back(servers: Servers, entity: Entity, document: Document | None) -> Iterator[tuple[str, str, str]]:
    """Compare every field with its store, and yield field, store and stored value.

    Raises:
        Corrupt: a stored value differs.
    """
    table = entity.storekit_table
    row = servers.row(table.name, entity.ref_id)
    for column in (*table.base, *table.columns):
        expect(f"{table.name}.{column}", getattr(entity, column), row[column])
    yield "(base)", "Postgres", ", ".join(table.base)
    yield from ((column, "Postgres", _short(row[column])) for column in table.columns)
    for part in table.parts.values():
        found = servers.part(row[f"{part.name}_ref"])
        if part.kind == "document":
            yield part.name, "MongoDB", _document(servers, part, found, getattr(entity, part.name))
        elif document is not None:
            yield part.name, "S3", _content(servers, found, document)


def fetch(url: str, document: Document) -> int:
    """Get a URL with the standard library, compare the content, and return its size in bytes.

    Raises:
        Corrupt: the content differs from the input.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 an http(s) URL that storekit signed
            while chunk := response.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except urllib.error.HTTPError as error:
        raise Corrupt(f"the URL of {document.name}", "status 200", f"status {error.code}") from error
    except OSError as error:
        raise Unavailable("s3", f"the URL of {document.name} was not served") from error
    expect(f"the URL of {document.name}", f"sha256 {document.sha256()}", f"sha256 {digest.hexdigest()}")
    return size


def _document(servers: Servers, part: Part, found: Row, value: BaseModel) -> str:
    stored = servers.document(found)
    where = f"{found.get('key')} {found.get('part_id')}"
    expect(f"document {where}", value.model_dump(), stored.get("body"))
    ttl = found["expires_on"] and found["expires_on"] - found["created_on"]
    expect(f"time to live of document {where}", part.ttl, ttl)
    if ttl is not None:
        # MongoDB removes the document an hour after its expiry in Postgres, and stores times in milliseconds
        removed = found["expires_on"] + _MONGO_GRACE
        removed -= timedelta(microseconds=removed.microsecond % 1000)
        expect(f"removal of document {where}", removed, stored.get("expiresOn"))
    until = f", expires {found['expires_on']:%Y-%m-%d}" if ttl else ""
    return f"{where}: {', '.join(stored['body'])}{until}"


def _content(servers: Servers, found: Row, document: Document) -> str:
    size, digest = servers.content(found)
    expect(f"object {found['key']}", f"sha256 {document.sha256()}", f"sha256 {digest}")
    return f"{found['key']}: {size} bytes, sha256 {digest[:12]}..."


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
