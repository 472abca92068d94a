"""The documents port in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any
from uuid import UUID

from storekit.errors import Corrupt, WriteLost
from storekit.ports.stores import DocumentPut


class MemoryDocuments:
    """Documents in memory by id, written once. Thread-safe."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[UUID, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    async def insert(self, puts: Sequence[DocumentPut]) -> None:
        with self._lock:
            for put in puts:
                self._insert(put)

    def _insert(self, put: DocumentPut) -> None:
        collection = self.collections.setdefault(put.collection, {})
        found = collection.setdefault(put.document["_id"], deepcopy(dict(put.document)))
        if found.get("tombstone"):
            raise WriteLost(put.write_id, "its document was removed by a sweep")
        if found["body"] != put.document["body"]:
            raise Corrupt(f"document {put.document['_id']}", "the body that was sent", "another")

    async def fetch(
        self, collection: str, tenant: UUID, ids: Sequence[UUID]
    ) -> dict[UUID, Mapping[str, Any]]:
        with self._lock:
            known = self.collections.get(collection, {})
            found = {part_id: known[part_id] for part_id in ids if part_id in known}
            return deepcopy({i: document for i, document in found.items() if document["tenantId"] == tenant})

    async def close(self) -> None:
        """Do nothing: another store may use the same documents."""
