"""What a class may declare, and what it is told when it may not."""

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
    "set null on what is append-only": (
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
    "a field of a mixin that is not there": (declare("deleted_on", datetime | None), "choose another"),
    "the mark of live parts": (declare("parts_live", bool), "choose another"),
    "a method of Entity": (declare("plan", str), "Entity has an attribute"),
    "an attribute of pydantic": (declare("model_fields", str), "Entity has an attribute"),
    "a system column": (declare("xmin", int), "system column"),
    "a word of a write's rows": (declare("expected_version", int), "an argument of every write"),
    "a mark inside a type": (declare("x", list[Annotated[UUID, references(Parent)]]), "the whole field"),
    "two marks": (
        declare("x", Annotated[UUID, references(Parent), document(collection="c")]),
        "at most one of",
    ),
    "a mark that is not called": (declare("x", Annotated[Body, document]), "must be called"),
    "a default beyond numbers": (declare("x", float, default=math.inf), "not a finite number"),
    "a default of no number": (declare("x", Decimal, default=Decimal("NaN")), "not a finite number"),
    "a default with U+0000": (declare("x", str, default="a\0b"), "U+0000"),
    "a label too long": (declare("x", StrEnum("Long", {"A": "ü" * 32})), "64 bytes"),
    "a type's name too long": (declare("y" * 30, Colour, table="t" * 40), "71 characters"),
    "a ttl that is a number": (lambda: document(collection="c", ttl=7), "timedelta(days=90)"),  # type: ignore[arg-type]
    "links that are text": (lambda: document(collection="c", links="content"), "list of field names"),
    "a collection that is a class": (lambda: document(collection=Body), "name of a collection"),  # type: ignore[arg-type]
    "a media type without a slash": (lambda: blob(media_type="markdown"), "text/markdown"),
    "a reference to no entity": (lambda: references(Body), "entity class"),  # type: ignore[arg-type]
    "a reference to no name": (declare("x", Annotated[UUID, references("Parent")]), "[a-z]"),
    "an unknown on_delete": (lambda: references(Parent, on_delete="forget"), "restrict"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("make", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_stored_is_refused_where_the_class_is_defined(
    make: Callable[[], object], told: str
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


def test_an_alias_does_not_open_what_storekit_sets() -> None:
    """Fields of the server are refused under the names that an alias generator gives them, too."""

    class Camel(Entity, table="camels"):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        first_name: str

    values: dict[str, Any] = {"refId": "x"}
    with pytest.raises(ValueError, match="refId: set by storekit"):
        Camel(first_name="x", **values)
    assert Camel.model_validate({"firstName": "x"}).first_name == "x"


def test_a_repr_begins_with_what_tells_records_apart() -> None:
    """A repr shows the ids, then the class's own fields, then those that storekit sets."""
    shown = repr(Parent(name="x"))
    places = [shown.index(f"{name}=") for name in ("Parent(id", "ref_id", " name", "tenant_id", "version")]
    assert places == sorted(places)


def test_a_ttl_is_kept_to_the_microsecond() -> None:
    """The interval in a migration is the ttl, exactly."""

    class Brief(Entity, table="briefs"):
        body: Annotated[
            Body | Expired, document(collection="c", ttl=timedelta(days=1, seconds=86399, microseconds=120))
        ]

    assert "interval '1 days 86399.00012 seconds'" in render(Brief)


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
