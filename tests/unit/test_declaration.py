"""What a class may declare, and what it is told when it may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, create_model

from storekit import Blob, Entity, Expired, Mutable, SoftDelete, UsageError, blob, document, references
from storekit.model.ddl import render
from storekit.model.describe import describe


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Body(BaseModel):
    text: str


class Parent(Entity, table="parents"):
    name: str


class Everything(Entity, Mutable, SoftDelete, table="everything"):
    text: str
    number: int
    ratio: float
    price: Decimal
    yes: bool
    uid: UUID
    moment: datetime
    day: date
    colour: Colour = Colour.RED
    tags: list[str] = []
    extra: dict[str, Any] = {}
    nested: Body | None = None
    order: int = 3
    parent_id: Annotated[UUID | None, references(Parent, on_delete="set null")] = None
    payload: Annotated[
        Body | Expired, document(collection="payloads", ttl=timedelta(hours=36), links=["content"])
    ]
    notes: Annotated[dict[str, Any] | None, document(collection="notes")] = None
    content: Annotated[Blob | None, blob(media_type="text/plain")] = None


def declare(name: str, annotation: Any, **options: Any) -> Callable[[], type[Entity]]:
    fields: dict[str, Any] = {name: (annotation, ...)}
    return lambda: create_model("Bad", __base__=Entity, __cls_kwargs__={"table": "bad", **options}, **fields)


REFUSED = {
    "a type without a column": (declare("x", set[int]), "set"),
    "two types": (declare("x", int | str), "cannot be a column"),
    "a blob without its mark": (declare("x", Blob), "Annotated"),
    "a blob field of another type": (declare("x", Annotated[str, blob()]), "Blob"),
    "a document of a plain type": (declare("x", Annotated[str, document(collection="c")]), "pydantic model"),
    "a ttl without Expired": (
        declare("x", Annotated[Body, document(collection="c", ttl=timedelta(days=1))]),
        "add Expired",
    ),
    "Expired without a ttl": (
        declare("x", Annotated[Body | Expired, document(collection="c")]),
        "remove Expired",
    ),
    "a ttl of nothing": (
        declare("x", Annotated[Body | Expired, document(collection="c", ttl=timedelta(0))]),
        "must be positive",
    ),
    "a link to no blob": (declare("x", Annotated[Body, document(collection="c", links=["y"])]), "'y'"),
    "a reference that is no UUID": (declare("x", Annotated[str, references(Parent)]), "UUID"),
    "set null on a required column": (
        declare("x", Annotated[UUID, references(Parent, on_delete="set null")]),
        "UUID | None",
    ),
    "a name in capitals": (declare("Name", int), "[a-z]"),
    "a name too long": (declare("x" * 51, int), "50"),
    "a table that is SQL": (declare("x", int, table='t"; DROP TABLE t; --'), "[a-z]"),
    "a table in two schemas": (declare("x", int, table="a.b.c"), "schema"),
    "another scope": (declare("x", int, scope="galaxy"), "galaxy"),
}


@pytest.mark.parametrize(("make", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_stored_is_refused_where_the_class_is_defined(
    make: Callable[[], type[Entity]], told: str
) -> None:
    """A declaration that cannot be stored is a UsageError that says what to write instead."""
    with pytest.raises(UsageError) as caught:
        make()
    assert told in str(caught.value)


def test_a_column_may_not_take_the_name_of_a_parts_ref() -> None:
    """A column called <part>_ref is refused."""
    with pytest.raises(UsageError, match="content_ref"):

        class Bad(Entity, table="bad"):
            content: Annotated[Blob, blob()]
            content_ref: str


@pytest.mark.parametrize("name", ["id", "ref_id", "tenant_id", "version", "created_on", "deleted_on"])
def test_what_storekit_sets_cannot_be_set_by_the_caller(name: str) -> None:
    """Fields of the server are refused in the constructor and on assignment."""
    values: dict[str, Any] = {name: None}
    with pytest.raises(ValueError, match="set by storekit"):
        Parent(name="x", **values)
    with pytest.raises(UsageError, match="set by storekit"):
        setattr(Parent(name="x"), name, None)


def test_an_assignment_is_validated() -> None:
    """Assigning a wrong type or an unknown field is refused at once."""
    parent = Parent(name="x")
    with pytest.raises(ValueError, match="string"):
        parent.name = 3  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no field"):
        parent.nmae = "y"  # type: ignore[attr-defined]


def test_ids_are_minted_with_the_object() -> None:
    """A new object has its id and ref_id before any save, and no two are alike."""
    made = [Parent(name="x") for _ in range(1000)]
    assert len({p.id for p in made} | {p.ref_id for p in made}) == 2000
    assert {p.id.version for p in made} == {7}


def test_a_class_is_rendered_as_a_migration_that_ends_in_manage() -> None:
    """The rendered text has every column, key, type and fact of the class."""
    text = render(Everything)
    for piece in (
        "CREATE TYPE public.everything_colour AS ENUM ('red', 'blue');",
        "colour public.everything_colour NOT NULL DEFAULT 'red'",
        '"order" bigint NOT NULL DEFAULT 3',
        "price numeric NOT NULL",
        "nested jsonb,",
        "tags text[] NOT NULL DEFAULT '{}'",
        "FOREIGN KEY (tenant_id, parent_id) REFERENCES public.parents (tenant_id, id) "
        "ON DELETE SET NULL (parent_id)",
        "payload_ref uuid,\n    payload_expired_on timestamptz",
        "content_ref uuid,\n    parts_live",
        "('everything', 'payload', 'document', interval '1 days 43200 seconds', '{content}', 'payloads')",
        "PRIMARY KEY (tenant_id, id)",
    ):
        assert piece in text
    assert text.endswith("SELECT storekit.manage('public.everything');\n")


def test_a_table_in_a_schema_of_its_own_is_rendered_with_it() -> None:
    """`table="defi.opportunity"` makes the schema, and types beside the table."""

    class Opportunity(Entity, table="defi.opportunity"):
        colour: Colour

    text = render(Opportunity)
    assert text.startswith("CREATE SCHEMA IF NOT EXISTS defi;")
    assert "CREATE TYPE defi.opportunity_colour" in text
    assert "SELECT storekit.manage('defi.opportunity');" in text


def test_plan_tells_each_fields_store_without_servers() -> None:
    """`plan()` names a store for every field, and the trips of a save."""
    lines = describe("Everything", Everything.storekit_table).splitlines()
    stores = {line.split()[0]: line.split()[1] for line in lines[2:-1]}
    assert {stores["payload"], stores["notes"]} == {"MongoDB"}
    assert stores["content"] == "S3"
    assert stores["price"] == "Postgres"
    assert lines[-1].endswith("two Postgres trips around one parallel wave")
    assert Parent.plan().endswith("one Postgres trip")
