"""The forms of a class: bases, mixins, unions, frozen classes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from storekit import Blob, Entity, Mutable, UsageError, blob, document, references
from storekit.schema.ddl import render


class Body(BaseModel):
    text: str


class Parent(Entity, table="parents"):
    name: str


def test_a_mark_may_be_inside_a_union() -> None:
    """`Annotated[type, mark] | None` means the same as `Annotated[type | None, mark]`."""

    class Loose(Entity, table="loose"):
        parent_id: Annotated[UUID, references(Parent)] | None = None
        body: Annotated[Body, document(collection="bodies")] | None = None
        content: Annotated[Blob, blob(media_type="text/plain")] | None = None

    table = Loose.storekit_table
    assert {part.name: (part.kind, part.nullable) for part in table.parts.values()} == {
        "body": ("document", True),
        "content": ("blob", True),
    }
    assert "REFERENCES public.parents" in render(Loose)


def test_a_subclass_with_new_fields_needs_a_table() -> None:
    """A subclass that adds fields to a class with a table must declare its own table."""

    class Quiet(Parent):
        def shout(self) -> str:
            return self.name.upper()

    assert Quiet(name="x").shout() == "X"
    with pytest.raises(UsageError, match="Loud adds fields to Parent: volume; give it a table of its own"):

        class Loud(Parent):
            volume: int

    with pytest.raises(UsageError, match="updated_by"):

        class Changing(Parent, Mutable):
            pass


def test_fields_of_a_base_without_a_table_are_inherited() -> None:
    """A class without a table may extend a base without a table."""

    class Named(Entity):
        name: str

    class Titled(Named, Mutable):
        title: str

    class Book(Titled, table="books"):
        pages: int

    assert [*Book.storekit_table.columns] == ["name", "title", "pages"]
    assert Book.storekit_table.mutable


def test_a_class_with_a_table_must_be_an_entity() -> None:
    """A table on a class that does not inherit from Entity raises UsageError with the correct form."""
    with pytest.raises(UsageError, match="Alone is not an Entity"):

        class Alone(Mutable, table="alone"):
            name: str

    class Either(Mutable, Entity, table="either"):
        name: str

    assert Either.storekit_table.mutable


def test_an_unresolvable_reference_is_refused() -> None:
    """A class that is local to a function cannot be named in an annotation of another function."""

    class Local(Entity, table="locals"):
        name: str

    def inner() -> None:
        class Far(Entity, table="fars"):
            local_id: Annotated[UUID, references(Local)]

    with pytest.raises(UsageError, match="at module level"):
        inner()


def test_frozen_classes_and_fields_refuse_assignments() -> None:
    """Assigning to a frozen class or field raises."""

    class Frozen(Entity, table="frozen"):
        model_config = ConfigDict(frozen=True)
        name: str

    class Half(Entity, table="half"):
        name: str = Field(frozen=True)
        size: int = 0

    for made in (Frozen(name="x"), Half(name="x")):
        with pytest.raises(ValueError, match="frozen"):
            made.name = "y"
        assert made.name == "x"
