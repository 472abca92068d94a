"""Versions of classes, and the facts that Postgres would report about their tables, without a server."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from storekit import (
    Blob,
    Entity,
    Expired,
    Mutable,
    SoftDelete,
    blob,
    document,
    index,
    lookup,
    moves,
    references,
    unique,
)
from storekit.model.table.keys import key_definitions
from storekit.schema import ddl
from storekit.schema.diff import Difference, differences, files
from storekit.schema.diff.facts import ColumnFact, Declared, Facts, declared_facts
from tests.support.note_editions import Author, Longer, Payload, Status


class Note(Entity, Mutable, table="notes"):
    title: str
    status: Status = Status.DRAFT


class Grown(
    Entity,
    Mutable,
    SoftDelete,
    table="notes",
    indexes=[index("title", "-created_on"), unique("slug", where={"deleted_on": None})],
    natural_key=("title",),
):
    title: str
    status: Annotated[Longer, moves({Longer.NEW: [Longer.DRAFT]})] = Longer.NEW
    slug: str | None = None
    order: int = 0
    kind: Status = Status.DRAFT
    author_id: Annotated[UUID | None, references(Author)] = None
    token: Annotated[str, lookup()] = "none"
    body: Annotated[Blob | None, blob()] = None
    log: Annotated[Payload | Expired | None, document(collection="logs", ttl=timedelta(days=9))] = None


class Invoice(Entity, table="billing.invoices"):
    author_id: Annotated[UUID, references(Author)]


def declared(entity: type[Entity]) -> Declared:
    """Return the facts that Postgres would report of a class, in similar words."""
    table = entity.storekit_table
    columns = {}
    for name, text in ddl.column_definitions(table, entity.model_fields).items():
        column, (head, _, default) = table.columns.get(name), text.partition(" DEFAULT ")
        members = [member.value for member in column.enum] if column and column.enum else []
        columns[name] = ColumnFact(
            type=head.removesuffix(" NOT NULL"),
            nullable="NOT NULL" not in head,
            default=default or None,
            generated="GENERATED" in text,
            enum=f"public.notes_{name}" if members else None,
            labels=tuple(members),
        )
    guards = {"row-level security": "true", "policy tenant": "its own", "trigger storekit_touch": "O"}
    seen = Facts(columns=columns, checks={"notes_ref_id_check": "CHECK (ref_id)"}, guards=guards)
    return Declared(declared_facts(table, seen), {key: key.build("t", "i") for key in key_definitions(table)})


def table(entity: type[Entity], **changes: Any) -> Facts:
    """Return the facts of a table after a class's migration, with the given changes."""
    made = declared(entity)
    indexes = {key.name: text for key, text in made.keys.items()}
    return replace(made.facts, **{"indexes": indexes, "empty": False, **changes})


def compare(entity: type[Entity], actual: Facts) -> list[Difference]:
    return [*differences(entity, declared(entity), actual)]


def text(found: list[Difference]) -> str:
    return "\n".join(file.text for file in files(found))
