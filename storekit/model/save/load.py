"""From what Postgres answered to an entity, and from a finished save back into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from storekit.errors import Corrupt, NotFound
from storekit.model.declare.entity import Entity, memory_of, remember
from storekit.model.declare.stored import EntityMemory, Stored, StoredPart
from storekit.model.save.changes import Change
from storekit.model.save.documents import decode_document, digest
from storekit.model.table.fields import Expired
from storekit.model.table.table import Table
from storekit.model.values.blob import Blob
from storekit.model.values.bson import Body
from storekit.model.values.codec import decode_column, encode_column

E = TypeVar("E", bound=Entity)


def visible(table: Table, tenant: UUID, rows: Sequence[Mapping[str, Any]], ref_id: str) -> Mapping[str, Any]:
    """Take the one row that was asked for.

    Raises:
        NotFound: there is none, or it is deleted.
        Corrupt: the answer is to another question; no tenant is ever shown what is another's.
    """
    if not rows or rows[0].get("deleted_on") is not None:
        raise NotFound(table.name, ref_id)
    if (rows[0]["tenant_id"], rows[0]["ref_id"]) != (tenant, ref_id):
        raise Corrupt(f"{table.name} {ref_id}", "the record asked for", "another")
    return rows[0]


def entity_from(entity: type[E], row: Mapping[str, Any]) -> E:
    """Make a loaded entity of a row; its documents are not loaded, unless empty or known to be expired."""
    table = entity.storekit_table
    values = {name: row[name] for name in table.base}
    values |= {name: decode_column(column, row[name]) for name, column in table.columns.items()}
    parts = {name: part for name in table.parts if (part := part_from(row[f"part:{name}"]))}
    expired = {
        name: on for name in table.parts if (on := row.get(f"{name}_expired_on")) and name not in parts
    }
    unloaded = {name for name, part in parts.items() if table.parts[name].kind == "document"}
    for name in table.parts.keys() - unloaded:
        values[name] = _part_value(parts.get(name), expired.get(name))
    loaded = _built(entity, values)
    columns = {
        name: encode_column(column, values[name], f"{entity.__name__}.{name}")
        for name, column in table.columns.items()
    }
    blobs = {name: value for name in table.parts if isinstance(value := values.get(name), Blob)}
    stored = Stored(row["tenant_id"], columns, parts)
    remember(loaded, EntityMemory(stored, blobs=blobs, expired=frozenset(expired)))
    return loaded


def _built(entity: type[E], values: dict[str, Any]) -> E:
    """Make an object of values that were checked when they were saved, in a third of `model_construct`."""
    made, put = entity.__new__(entity), object.__setattr__
    put(made, "__dict__", values)
    put(made, "__pydantic_fields_set__", set(values))
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    made.model_post_init(None)
    return made


def _part_value(part: StoredPart | None, expired_on: datetime | None) -> Blob | Expired | None:
    if part is None:
        return Expired(expired_on) if expired_on else None
    return Blob.stored(part.size, part.sha256, part.media_type, part.filename)


def part_from(fact: list[Any] | None) -> StoredPart | None:
    """Read what `storekit.part` told of a ref, in the order that `sql.PART` asks for."""
    if fact is None:
        return None
    part_id, key, version_id, size, sha256, media_type, filename, expires_on, expired, state, write_id = fact
    on = datetime.fromisoformat(expires_on) if expires_on else None
    return StoredPart(
        UUID(part_id), key, version_id, size, sha256, media_type, filename, on, expired, state, UUID(write_id)
    )


def put_document(entity: Entity, name: str, body: Body) -> None:
    """Put a document that was read into its object, and note how it looked there."""
    value = decode_document(type(entity), name, body)
    entity.__dict__[name] = value
    memory_of(entity).digests[name] = digest(value, name)


def take_over(entity: Entity, loaded: Entity) -> None:
    """Let an object stand for the record that was loaded: what it holds beyond that is a change."""
    entity.__dict__.update({name: loaded.__dict__[name] for name in entity.storekit_table.base})
    known = memory_of(loaded)
    remember(entity, EntityMemory(known.stored, expired=known.expired))


def written(
    entity: Entity,
    facts: Mapping[str, Any],
    change: Change,
    parts: dict[str, StoredPart],
    tenant: UUID,
) -> None:
    """Note a finished save in the object: what was sent, not what the object holds by now."""
    table, memory = entity.storekit_table, memory_of(entity)
    entity.__dict__.update({name: value for name, value in facts.items() if name in table.base})
    columns = {**(memory.stored.columns if memory.stored else {}), **change.columns}
    touched = change.blobs.keys() | change.documents.keys() | change.emptied
    blobs = {name: blob for name, blob in memory.blobs.items() if name not in touched}
    digests = {name: each for name, each in memory.digests.items() if name not in touched}
    for name, blob in change.blobs.items():
        part = parts[name]
        blobs[name] = Blob.stored(part.size, part.sha256, part.media_type, part.filename)
        if entity.__dict__.get(name) is blob:
            entity.__dict__[name] = blobs[name]
    digests |= {name: made.sha256 for name, made in change.documents.items()}
    stored = Stored(tenant, columns, parts)
    remember(entity, EntityMemory(stored, None, digests, blobs, memory.expired - touched))
