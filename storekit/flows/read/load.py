"""Read records: one look-up in Postgres, then the requested documents from MongoDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from storekit.errors import Corrupt, UsageError, ValidationError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.ids import REF_ID
from storekit.model.declare.entity import Entity
from storekit.model.save.load import entity_from, initialize_again, put_document, visible
from storekit.model.save.memory import memory_of, note_damaged, stored_parts
from storekit.model.table.fields import Expired
from storekit.model.table.names import qualified
from storekit.model.table.table import Part, Table
from storekit.model.values.bson import Body, body_hash
from storekit.ports.statements import Match, Select
from storekit.ports.stores import UNDECODED, StoredPart, aside
from storekit.trace import step

E = TypeVar("E", bound=Entity)

_SHOWN = 40
"""Characters of the caller's value that a message repeats."""
_READERS = {
    "blob": "it is a blob: use read(), open() or url()",
    "document": "it is a document: use get(ref_id, load=[...])",
}


def whole_row(table: Table, ref_ids: Iterable[str]) -> Select:
    """Build the statement that reads every column and every part of some rows."""
    expiries = ((f"{part.name}_expired_on", "timestamptz") for part in table.parts.values() if part.ttl)
    return Select(table.name, (*table.types, *expiries), tuple(table.parts), checked(ref_ids))


async def found_rows(context: Context, wanted: Sequence[tuple[Table, str]]) -> list[list[Mapping[str, Any]]]:
    """Read whole rows of any tables, in the order of `wanted`; an empty list for a row that does not exist.

    One trip.
    """
    tables = {table.name: table for table, _ in wanted}
    asked = [whole_row(t, [ref_id for table, ref_id in wanted if table is t]) for t in tables.values()]
    answers = await calls.read(context, asked)
    rows = {(name, row["ref_id"]): row for name, found in zip(tables, answers, strict=True) for row in found}
    keys = [(table.name, ref_id) for table, ref_id in wanted]
    return [[rows[key]] if key in rows else [] for key in keys]


def matching(table: Table, fields: Sequence[str], values: Iterable[tuple[Any, ...]]) -> Match:
    """Build the statement that reads whole rows by the encoded values of some fields."""
    key = tuple((name, _sql_type(table, name)) for name in fields)
    rows = whole_row(table, [])
    return Match(rows.table, rows.columns, rows.parts, key, tuple(values))


def _sql_type(table: Table, name: str) -> str:
    if name not in table.columns:
        return table.base[name]
    column = table.columns[name]
    return qualified(column.sql) if column.enum else column.sql


def checked(ref_ids: Iterable[str]) -> tuple[str, ...]:
    """Check that the values are ref_ids, before anything is sent."""
    found = tuple(ref_ids)
    for ref_id in found:
        if isinstance(ref_id, Entity):
            raise UsageError(f"ref_id is {_a(type(ref_id).__name__)}; pass its .ref_id")
        if isinstance(ref_id, UUID):
            raise UsageError(f"{ref_id} is an id; pass the record's .ref_id")
        if not isinstance(ref_id, str) or not REF_ID.match(ref_id):
            raise ValidationError(f"{str(ref_id)[:_SHOWN]!r} is not a ULID of 26 characters", field="ref_id")
    return found


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def part_of(table: Table, field: str, kind: str | None = None) -> Part:
    """Return a part by its field's name.

    Raises:
        UsageError: the field is not a part, or is a part of the other kind.
    """
    part = table.parts.get(field) if isinstance(field, str) else None
    if part is None or (kind is not None and part.kind != kind):
        known = ", ".join(p.name for p in table.parts.values() if kind is None or p.kind == kind) or "none"
        instead = f" ({_READERS[part.kind]})" if part else ""
        raise UsageError(
            f"{table.name}.{field!s:.{_SHOWN}} is not a {kind or 'part'}{instead}; it has {known}"
        )
    return part


def document_fields(table: Table, load: Sequence[str]) -> list[str]:
    """Check the names of the documents to load, and return each once.

    Raises:
        UsageError: a name is not that of a document, or `load` is not a list.
    """
    if isinstance(load, str) or not isinstance(load, Iterable):
        raise UsageError(f"load is {load!r:.{_SHOWN}}; give a list: load=[{load!r:.{_SHOWN}}]")
    return list(dict.fromkeys(part_of(table, field, "document").name for field in load))


async def get(context: Context, entity: type[E], ref_id: str, load: Sequence[str] = ()) -> E:
    """Read one record. One Postgres trip, and one MongoDB trip for each collection in `load`, in parallel."""
    table = entity.storekit_table
    fields = document_fields(table, load)
    rows = await calls.select(context, whole_row(table, [ref_id]))
    loaded = entity_from(entity, visible(table, context.actor.tenant, rows, ref_id))
    await load_documents(context, [loaded], fields)
    for damage in memory_of(loaded).damaged.values():
        raise damage
    return loaded


async def load_documents(context: Context, entities: Sequence[Entity], fields: Sequence[str]) -> None:
    """Put documents into loaded entities: one MongoDB trip for each collection.

    A document that is damaged or missing never hides the other records: reading its field raises Corrupt.
    """
    if not fields:
        return
    wanted = [
        (entity, field, part)
        for entity in entities
        for parts in [stored_parts(entity)]
        for field in fields
        if (part := parts.get(field)) is not None
    ]
    bodies = await fetch_bodies(context, [part for *_, part in wanted])

    def put() -> None:
        for entity, field, part in wanted:
            try:
                value = expired_or(part, bodies.get(part.part_id))
            except Corrupt as error:
                note_damaged(entity, field, error)
                continue
            if isinstance(value, Expired):
                entity.__dict__[field] = value
            else:
                put_document(entity, field, value)
        for entity in entities:
            initialize_again(entity)

    await aside(context.ports.runtime, sum(part.size for *_, part in wanted if part.part_id in bodies), put)


def expired_or(part: StoredPart, body: Body | Corrupt | None) -> Body | Expired:
    """Return a document's body, or `Expired`. The row in Postgres alone decides which.

    MongoDB deletes a document an hour or more after its expiry, so an expired document may be there or not.

    Raises:
        Corrupt: the document is damaged, or missing before its expiry.
    """
    if part.expired and part.expires_on is not None:
        return Expired(part.expires_on)
    if body is None:
        raise _damage(part, "nothing")
    if isinstance(body, Corrupt):
        raise body
    return body


def _damage(part: StoredPart, found: str) -> Corrupt:
    return Corrupt(f"document {part.part_id} in {part.key}", f"sha256 {part.sha256}", found)


async def fetch_bodies(context: Context, wanted: Sequence[StoredPart]) -> Mapping[UUID, Body | Corrupt]:
    """Read document bodies by part id, and check each against the hash that was saved.

    A body that is damaged is returned as an error, which `expired_or` raises.
    """
    by_collection: dict[str, list[StoredPart]] = {}
    for part in wanted:
        if not part.expired:
            by_collection.setdefault(part.key, []).append(part)
    if not by_collection:
        return {}

    async def fetch(collection: str, parts: list[StoredPart]) -> Mapping[UUID, Mapping[str, Any]]:
        ids = [part.part_id for part in parts]
        with step("mongo.fetch"):
            return await context.ports.documents.fetch(collection, context.actor.tenant, ids)

    async def renew_nothing() -> None:
        """Do nothing: a read has no lease to renew."""

    reads = [partial(fetch, *each) for each in by_collection.items()]
    if len(reads) == 1:  # a wave would start a thread for a single read
        answers = [await reads[0]()]
    else:
        answers = await context.ports.runtime.wave(reads, renew_nothing, context.ports.settings.renew_every)
    bodies: dict[UUID, Body | Corrupt] = {}
    for parts, found in zip(by_collection.values(), answers, strict=True):
        size = sum(part.size for part in parts)
        bodies |= await aside(context.ports.runtime, size, partial(_verified, parts, found))
    return bodies


def _verified(
    parts: Iterable[StoredPart], found: Mapping[UUID, Mapping[str, Any]]
) -> dict[UUID, Body | Corrupt]:
    return {part.part_id: _body(part, found[part.part_id]) for part in parts if part.part_id in found}


def _body(part: StoredPart, document: Mapping[str, Any]) -> Body | Corrupt:
    if why := document.get(UNDECODED):
        return _damage(part, f"a document that cannot be decoded ({why})")
    body: Body = document.get("body") or {}
    try:
        digest = body_hash(body).hex()
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        return _damage(part, f"a body that no save writes ({error})")
    return body if digest == part.sha256 else _damage(part, f"sha256 {digest}")
