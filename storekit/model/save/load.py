"""Build objects from the rows that Postgres returned."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError as PydanticError

from storekit.errors import Corrupt, NotFound, NotLoaded, Unreadable
from storekit.model.declare.entity import Entity
from storekit.model.declare.stored import EntityMemory, Stored
from storekit.model.declare.validators import validating
from storekit.model.save.documents import decode_document, digest
from storekit.model.save.generated import fields_with_factories
from storekit.model.save.memory import memory_of, note_document, note_failed, note_unreadable, remember
from storekit.model.table.fields import Expired
from storekit.model.table.table import Table
from storekit.model.values.blob import Blob
from storekit.model.values.bson import Body
from storekit.model.values.codec import decode_column, encode_stored
from storekit.model.values.readable import readable
from storekit.model.values.walk import reasons
from storekit.ports.stores import UNDECODED, StoredPart

E = TypeVar("E", bound=Entity)
_SHOWN = 200
"""Characters of a reason that an error repeats."""


def visible(table: Table, tenant: UUID, rows: Sequence[Mapping[str, Any]], ref_id: str) -> Mapping[str, Any]:
    """Return the one row that was asked for.

    Raises:
        NotFound: there is no such row, or it is deleted.
        Corrupt: the row belongs to another tenant or record, which a driver must never return.
    """
    if not rows or rows[0].get("deleted_on") is not None:
        raise NotFound(table.name, ref_id)
    if (rows[0]["tenant_id"], rows[0]["ref_id"]) != (tenant, ref_id):
        raise Corrupt(f"{table.name} {ref_id}", "the record that was asked for", "another record")
    return rows[0]


def entity_from(entity: type[E], row: Mapping[str, Any]) -> E:
    """Build an object from a row. Its documents are not loaded, unless they are empty or have expired.

    A value that the class cannot hold is left out of the object, so that one value never hides a record, or
    the other records of a page. `Entity.__getattr__` raises the error when the field is read. If code of the
    class fails for the record, all fields are left out that the class declares.
    """
    loaded = _loaded(entity, row)
    if (why := _initialize(loaded)) is not None:
        note_failed(loaded, why)
    return loaded


def judged_from(entity: type[E], row: Mapping[str, Any]) -> E:
    """Build an object from a row that is about to change.

    It keeps its fields if code of the class fails for it: the validators check the changed record.
    """
    loaded = _loaded(entity, row)
    _initialize(loaded)
    return loaded


def _loaded(entity: type[E], row: Mapping[str, Any]) -> E:
    table = entity.storekit_table
    unreadable: dict[str, str] = {}
    filled, encoded = fields_with_factories(entity), dict[str, Any]()
    values = {name: row[name] for name in table.base}
    if UNDECODED in row:
        unreadable |= {name: f"it is {row[name]:.60}" for name in row[UNDECODED]}
        values = {name: value for name, value in values.items() if name not in unreadable}
    for name, column in table.columns.items():
        value = row[name]
        if name in unreadable:
            continue
        if value is None and column.nullable:
            values[name] = None
            continue
        try:
            held = readable(column, value)
            if name in filled:
                encoded[name] = encode_stored(column, held, f"{entity.__name__}.{name}")
            values[name] = held
        except Exception as error:  # the type may be a model with code of the user
            unreadable[name] = reason(error)
    parts: dict[str, StoredPart] = {}
    expired: set[str] = set()
    blobs: dict[str, Blob] = {}
    for name, spec in table.parts.items():
        if (part := row[f"part:{name}"]) is not None:
            parts[name] = part
            if spec.kind == "blob":
                values[name] = blobs[name] = Blob.stored(
                    part.size, part.sha256, part.media_type, part.filename
                )
        elif on := row.get(f"{name}_expired_on"):
            expired.add(name)
            values[name] = Expired(on)
        else:
            values[name] = None
    loaded = _built(entity, values)
    stored = Stored(row["tenant_id"], LoadedColumns(entity, row, unreadable, encoded), parts)
    memory = EntityMemory(stored, blobs=blobs, unreadable=unreadable, expired=frozenset(expired))
    memory.failed = _set_private(loaded)
    remember(loaded, memory)
    return loaded


def _set_private(record: Entity) -> str | None:
    """Set the private attributes to their defaults; return why a default factory failed."""
    try:
        Entity.model_post_init(record, None)
    except Exception as error:
        object.__setattr__(record, "__pydantic_private__", {})
        return failure(error)
    return None


def _initialize(record: Entity) -> str | None:
    """Run `model_post_init` of the class. Return why it, or the factory of a private attribute, failed.

    It waits for `initialize_again` if it needs a field that the object does not have. That is a document that
    is not loaded, or a value that the class cannot hold.
    """
    memory = memory_of(record)
    if memory.failed is not None or type(record).model_post_init is Entity.model_post_init:
        return memory.failed
    memory.waiting = False
    with validating(record):  # as in the constructor: assignments set the value as it is
        try:
            record.model_post_init(None)
        except (NotLoaded, Unreadable, Corrupt):
            memory.waiting = True
        except Exception as error:
            return failure(error)
    return None


def initialize_again(record: Entity) -> None:
    """Run `model_post_init` after documents were loaded, if it needed one that was not."""
    if memory_of(record).waiting and (why := _initialize(record)) is not None:
        note_failed(record, why)


def committed_from(
    entity: type[E], tenant: UUID, rows: Sequence[Mapping[str, Any]], ref_id: str, version: int
) -> E:
    """Build the object of a row that the call has committed.

    Raises:
        Unreadable: it cannot be built; the message says what is committed.
    """
    try:
        return entity_from(entity, visible(entity.storekit_table, tenant, rows, ref_id))
    except Exception as error:
        why = failure(error)
        raise Unreadable(entity.storekit_table.name, ref_id, None, why, version=version) from error


def reason(error: Exception) -> str:
    """Return why a class cannot hold a value, in one line."""
    text = reasons(error) if isinstance(error, PydanticError) else str(error)
    return text.partition("\n")[0][:_SHOWN]


def failure(error: Exception) -> str:
    """Return the class and the message of an error that code of the user raised, in one line."""
    return f"{type(error).__name__}: {reason(error)}"


class LoadedColumns(Mapping[str, Any]):
    """The encoded columns of a row, for a save to compare with. They are encoded at the first access.

    Most records that are read are never saved, and encoding the columns took 40 % of a `get`. The values of
    the row are copied, because those of the object may be edited in place.

    Args:
        known: encoded columns. If they were decoded again, values of default factories would be changes.
    """

    __slots__ = ("_encoded", "_entity", "_known", "_row")

    def __init__(
        self,
        entity: type[Entity],
        row: Mapping[str, Any],
        unreadable: Container[str],
        known: Mapping[str, Any],
    ) -> None:
        self._entity, self._known = entity, known
        # copy lists: the object has the list of the row, which the user may edit in place
        self._row = {
            name: [*value] if isinstance(value := row[name], list) else value
            for name in entity.storekit_table.columns
            if name not in unreadable
        }
        self._encoded: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        if self._encoded is None:
            owner, columns = self._entity.__name__, self._entity.storekit_table.columns
            self._encoded = {
                each: self._known[each]
                if each in self._known
                else encode_stored(columns[each], decode_column(columns[each], value), f"{owner}.{each}")
                for each, value in self._row.items()
            }
        return self._encoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


def _built(entity: type[E], values: dict[str, Any]) -> E:
    """Build an object from values that were checked when they were saved.

    `model_construct` takes three times as long.
    """
    made, put = entity.__new__(entity), object.__setattr__
    put(made, "__dict__", values)
    put(made, "__pydantic_fields_set__", set(values))
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    return made


def put_document(entity: Entity, name: str, body: Body) -> None:
    """Set a document field of an object, and remember the hash of the value.

    The class may read another value than the stored one, for example with a new default; then the hash is
    that of the new value. A value without a declared type is read as it is stored, and has the stored hash.
    """
    part = entity.storekit_table.parts[name]
    try:
        value = decode_document(type(entity), name, body)
        known = None if part.free else digest(type(entity), name, value)
    except Exception as error:  # the type may be a model with code of the user
        note_unreadable(entity, name, reason(error))
        return
    entity.__dict__[name] = value
    if known is not None:
        note_document(entity, name, known)
