"""How classes may be put together: bases, mixins, unions, frozen ones."""

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


def test_a_mark_on_a_member_of_a_union_counts() -> None:
    """`Annotated[type, mark] | None` says what `Annotated[type | None, mark]` says."""

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


def test_a_subclass_does_not_lose_fields() -> None:
    """A class that adds fields to one with a table needs a table of its own; one that adds none does not."""

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


def test_a_base_without_a_table_gives_its_fields_to_those_with_one() -> None:
    """A class without a table may add fields to a base without a table."""

    class Named(Entity):
        name: str

    class Titled(Named, Mutable):
        title: str

    class Book(Titled, table="books"):
        pages: int

    assert [*Book.storekit_table.columns] == ["name", "title", "pages"]
    assert Book.storekit_table.mutable


def test_a_mixin_alone_is_no_record() -> None:
    """A table asked of a class that is no Entity is a UsageError that shows the right form."""
    with pytest.raises(UsageError, match="Alone is not an Entity"):

        class Alone(Mutable, table="alone"):
            name: str

    class Either(Mutable, Entity, table="either"):
        name: str

    assert Either.storekit_table.mutable


def test_a_reference_that_cannot_be_resolved_says_where_to_define_it() -> None:
    """A class that only a function knows cannot be named by an annotation in another function."""

    class Local(Entity, table="locals"):
        name: str

    def inner() -> None:
        class Far(Entity, table="fars"):
            local_id: Annotated[UUID, references(Local)]

    with pytest.raises(UsageError, match="at module level"):
        inner()


def test_what_is_frozen_stays() -> None:
    """A frozen class, or field, refuses assignments."""

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
