"""From what Postgres answered to an entity, and from a finished save back into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from storekit.errors import NotFound
from storekit.model.blob import Blob
from storekit.model.bson import Body
from storekit.model.codec import decode_column, encode_column
from storekit.model.entity import LOADING, Entity, Memory, Stored, StoredPart
from storekit.model.fields import Expired
from storekit.model.table import Table

E = TypeVar("E", bound=Entity)


def visible(table: Table, rows: Sequence[Mapping[str, Any]], ref_id: str) -> Mapping[str, Any]:
    """Take the one row that was asked for.

    Raises:
        NotFound: there is none, or it is deleted.
    """
    if not rows or rows[0].get("deleted_on") is not None:
        raise NotFound(table.name, ref_id)
    return rows[0]


def entity_from(entity: type[E], row: Mapping[str, Any]) -> E:
    """Make a loaded entity of a row; its documents are not loaded, unless empty or known to be expired."""
    table = entity.storekit_table
    values = {name: row[name] for name in table.base}
    values |= {name: decode_column(column, row[name]) for name, column in table.columns.items()}
    parts = {name: part for name in table.parts if (part := part_from(row[f"{name}_part"]))}
    expired = {
        name: on for name in table.parts if (on := row.get(f"{name}_expired_on")) and name not in parts
    }
    unloaded = {name for name, part in parts.items() if table.parts[name].kind == "document"}
    for name in table.parts.keys() - unloaded:
        values[name] = _part_value(parts.get(name), expired.get(name))
    loaded = entity.model_construct(_fields_set=set(values), **values)
    for name in unloaded:
        loaded.__dict__.pop(name, None)
    remember(loaded, row["tenant_id"], parts, frozenset(expired))
    return loaded


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


def remember(
    entity: Entity, tenant: UUID, parts: dict[str, StoredPart], expired: frozenset[str] = frozenset()
) -> None:
    """Note what the database now holds of an entity, so that the next save writes only what changed."""
    table = entity.storekit_table
    columns = {
        name: encode_column(column, entity.__dict__[name], name) for name, column in table.columns.items()
    }
    blobs = {name: value for name in table.parts if isinstance(value := entity.__dict__.get(name), Blob)}
    entity._memory = Memory(Stored(tenant, columns, parts), None, blobs, expired)


def document_from(entity: type[Entity], name: str, body: Body) -> Any:
    """Make a document's body what the class declares."""
    blank = entity.model_construct()
    entity.__pydantic_validator__.validate_assignment(blank, name, body, context=LOADING)
    return blank.__dict__[name]


def take_over(entity: Entity, loaded: Entity) -> None:
    """Let an object stand for the record that was loaded: what it holds beyond that is a change."""
    entity.__dict__.update({name: loaded.__dict__[name] for name in entity.storekit_table.base})
    entity._memory = Memory(loaded._memory.stored, None, {}, loaded._memory.expired)


def written(entity: Entity, facts: Mapping[str, Any], parts: dict[str, StoredPart], tenant: UUID) -> None:
    """Note a finished save in the object that was saved."""
    entity.__dict__.update(
        {name: value for name, value in facts.items() if name in entity.storekit_table.base}
    )
    remember(entity, tenant, parts, entity._memory.expired)
