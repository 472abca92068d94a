"""Declarations of a class: valid ones, and the errors of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, create_model
from pydantic.alias_generators import to_camel

from storekit import Blob, Entity, Expired, Mutable, SoftDelete, UsageError, blob, document, references
from storekit.model.declare.describe import describe
from storekit.schema.ddl import render


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


def declare(name: str, annotation: Any, default: Any = ..., **options: Any) -> Callable[[], type[Entity]]:
    fields: dict[str, Any] = {name: (annotation, default)}
    return lambda: create_model("Bad", __base__=Entity, __cls_kwargs__={"table": "bad", **options}, **fields)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
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
    "a ttl of zero": (
        declare("x", Annotated[Body | Expired, document(collection="c", ttl=timedelta(0))]),
        "must be positive",
    ),
    "a link to an unknown blob": (
        declare("x", Annotated[Body, document(collection="c", links=["y"])]),
        "'y'",
    ),
    "a reference that is not a UUID": (declare("x", Annotated[str, references(Parent)]), "UUID"),
    "set null on a required column": (
        declare("x", Annotated[UUID, references(Parent, on_delete="set null")]),
        "UUID | None",
    ),
    "set null on an append-only class": (
        declare("x", Annotated[UUID | None, references(Parent, on_delete="set null")]),
        "derive the class from Mutable",
    ),
    "a name in capitals": (declare("Name", int), "[a-z]"),
    "a name too long": (declare("x" * 51, int), "50"),
    "a table that is SQL": (declare("x", int, table='t"; DROP TABLE t; --'), "[a-z]"),
    "a table in two schemas": (declare("x", int, table="a.b.c"), "schema"),
    "another scope": (declare("x", int, scope="galaxy"), "galaxy"),
    "a field of storekit": (declare("version", str), "choose another"),
    "an id of another type": (declare("id", int), "choose another"),
    "a field of a missing mixin": (declare("deleted_on", datetime | None), "choose another"),
    "the mark of live parts": (declare("parts_live", bool), "choose another"),
    "a method of Entity": (declare("plan", str), "Entity has an attribute"),
    "an attribute of pydantic": (declare("model_fields", str), "Entity has an attribute"),
    "a system column": (declare("xmin", int), "system column"),
    "a reserved name of a write": (declare("expected_version", int), "an argument of every write"),
    "a mark inside a type": (declare("x", list[Annotated[UUID, references(Parent)]]), "the whole field"),
    "two marks": (
        declare("x", Annotated[UUID, references(Parent), document(collection="c")]),
        "at most one of",
    ),
    "a mark without parentheses": (declare("x", Annotated[Body, document]), "must be called"),
    "an infinite default": (declare("x", float, default=math.inf), "not a finite number"),
    "a default of NaN": (declare("x", Decimal, default=Decimal("NaN")), "not a finite number"),
    "a default with U+0000": (declare("x", str, default="a\0b"), "U+0000"),
    "a label too long": (declare("x", StrEnum("Long", {"A": "ü" * 32})), "64 bytes"),
    "a type's name too long": (declare("y" * 30, Colour, table="t" * 40), "71 characters"),
    "a ttl that is a number": (lambda: document(collection="c", ttl=7), "timedelta(days=90)"),  # type: ignore[arg-type]
    "links that are text": (lambda: document(collection="c", links="content"), "list of field names"),
    "a collection that is a class": (lambda: document(collection=Body), "name of a collection"),  # type: ignore[arg-type]
    "a media type without a slash": (lambda: blob(media_type="markdown"), "text/markdown"),
    "a reference to a class that is not an entity": (lambda: references(Body), "entity class"),  # type: ignore[arg-type]
    "a reference to an invalid name": (declare("x", Annotated[UUID, references("Parent")]), "[a-z]"),
    "an unknown on_delete": (lambda: references(Parent, on_delete="forget"), "restrict"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_declaration_raises_at_the_class(make: Callable[[], object], message: str) -> None:
    """A declaration that cannot be stored raises UsageError with the remedy."""
    with pytest.raises(UsageError) as caught:
        make()
    assert message in str(caught.value)


def test_a_column_named_like_a_ref_is_refused() -> None:
    """A column called <part>_ref is refused."""
    with pytest.raises(UsageError, match="content_ref"):

        class Bad(Entity, table="bad"):
            content: Annotated[Blob, blob()]
            content_ref: str


@pytest.mark.parametrize("name", ["id", "ref_id", "tenant_id", "version", "created_on", "deleted_on"])
def test_fields_of_the_server_cannot_be_set(name: str) -> None:
    """Fields that storekit sets are refused in the constructor and on assignment."""
    values: dict[str, Any] = {name: None}
    with pytest.raises(ValueError, match="set by storekit"):
        Parent(name="x", **values)
    with pytest.raises(UsageError, match="set by storekit"):
        setattr(Parent(name="x"), name, None)


def test_fields_of_the_server_cannot_be_set_by_alias() -> None:
    """Fields that storekit sets are also refused under the names of an alias generator."""

    class Camel(Entity, table="camels"):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        first_name: str

    values: dict[str, Any] = {"refId": "x"}
    with pytest.raises(ValueError, match="refId: set by storekit"):
        Camel(first_name="x", **values)
    assert Camel.model_validate({"firstName": "x"}).first_name == "x"


def test_repr_begins_with_the_ids() -> None:
    """A repr shows the ids, then the fields of the class, then those that storekit sets."""
    shown = repr(Parent(name="x"))
    places = [shown.index(f"{name}=") for name in ("Parent(id", "ref_id", " name", "tenant_id", "version")]
    assert places == sorted(places)


def test_a_ttl_is_kept_to_the_microsecond() -> None:
    """The interval in a migration equals the ttl to the microsecond."""

    class Brief(Entity, table="briefs"):
        body: Annotated[
            Body | Expired, document(collection="c", ttl=timedelta(days=1, seconds=86399, microseconds=120))
        ]

    assert "interval '1 days 86399.00012 seconds'" in render(Brief)


def test_an_assignment_is_validated() -> None:
    """Assigning a value of a wrong type or an unknown field raises."""
    parent = Parent(name="x")
    with pytest.raises(ValueError, match="string"):
        parent.name = 3  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no field"):
        parent.nmae = "y"  # type: ignore[attr-defined]


def test_ids_are_generated_with_the_object() -> None:
    """A new object has a unique id and ref_id before any save."""
    made = [Parent(name="x") for _ in range(1000)]
    assert len({p.id for p in made} | {p.ref_id for p in made}) == 2000
    assert {p.id.version for p in made} == {7}


def test_a_class_is_rendered_as_a_migration_that_ends_in_manage() -> None:
    """The rendered migration has every column, key and type of the class, and ends in manage."""
    text = render(Everything)
    for piece in (
        "CREATE TYPE public.everything_colour AS ENUM ('red', 'blue');",
        "colour public.everything_colour NOT NULL DEFAULT 'red'",
        '"order" bigint NOT NULL DEFAULT 3',
        "price numeric NOT NULL",
        "CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$')",
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


def test_the_schema_of_a_table_is_rendered() -> None:
    """`table="defi.opportunity"` creates the schema, and the enum types in it."""

    class Opportunity(Entity, table="defi.opportunity"):
        colour: Colour

    text = render(Opportunity)
    assert text.startswith("CREATE SCHEMA IF NOT EXISTS defi;")
    assert "CREATE TYPE defi.opportunity_colour" in text
    assert "SELECT storekit.manage('defi.opportunity');" in text


def test_plan_shows_the_store_of_each_field() -> None:
    """`plan()` shows the store of every field and the trips of a save, without servers."""
    lines = describe("Everything", Everything.storekit_table).splitlines()
    stores = {line.split()[0]: line.split()[1] for line in lines[2:-1]}
    assert {stores["payload"], stores["notes"]} == {"MongoDB"}
    assert stores["content"] == "S3"
    assert stores["price"] == "Postgres"
    assert lines[-1].endswith("two Postgres trips around one parallel wave")
    assert Parent.plan().endswith("one Postgres trip")
