"""Fields, types and inheritance of entity classes: kept or refused."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

import pydantic
import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    computed_field,
    field_serializer,
    model_serializer,
)

from storekit import Entity, Mutable, UsageError, ValidationError, document
from tests.support.features import declare, repository, row, scope_of

T = TypeVar("T")


@row("private attributes")
def test_private_attributes_are_not_stored() -> None:
    """A save leaves private attributes as they are, and a loaded object has their defaults."""

    class Job(Entity, Mutable, table="jobs"):
        name: str = ""
        _tries: int = PrivateAttr(default_factory=lambda: 3)

        def count(self, more: int = 0) -> int:
            self._tries += more
            return self._tries

    jobs = repository(Job)
    job = Job()
    job.count(4)
    assert jobs.save(job).count() == 7
    assert jobs.get(job.ref_id).count() == 3


@row("`ClassVar`, properties, methods")
def test_class_variables_and_properties_are_not_fields() -> None:
    """A ClassVar, a property and a method have no column, and work on loaded records."""

    class Job(Entity, Mutable, table="jobs"):
        limit: ClassVar[int] = 3
        tries: int = 0

        @property
        def left(self) -> int:
            return self.limit - self.tries

    jobs = repository(Job)
    assert set(Job.storekit_table.columns) == {"tries"}
    assert jobs.get(jobs.save(Job(tries=1)).ref_id).left == 2


@row("`Field(repr, title, deprecated, init, kw_only, ...)`")
def test_arguments_of_field_that_describe_it_do_not_change_what_is_stored() -> None:
    """Fields with descriptions and flags are stored as others."""
    flags: list[dict[str, Any]] = [
        {"repr": False},
        {"deprecated": "use y"},
        {"init": False},
        {"kw_only": True},
        {"title": "X", "description": "x", "examples": [1], "json_schema_extra": {"a": 1}},
    ]
    for flag in flags:
        made = declare(int, Field(default=1, **flag))
        records = repository(made)
        record = records.save(made.model_validate({"x": 5}))
        assert records.get(record.ref_id).__dict__["x"] == 5


@row("`exclude`, serializers and `computed_field` of an entity")
def test_serializers_of_an_entity_apply_to_dumps_only() -> None:
    """storekit stores the value of the field itself; `exclude` and serializers change model_dump() only."""

    class User(Entity, Mutable, table="users"):
        password: str = Field(default="", exclude=True)
        size: Annotated[int, PlainSerializer(lambda size: f"{size} B")] = 0
        name: str = ""

        @field_serializer("name")
        def _upper(self, name: str) -> str:
            return name.upper()

        @computed_field  # type: ignore[prop-decorator]
        @property
        def greeting(self) -> str:
            return f"Hello {self.name}"

        @model_serializer(mode="wrap")
        def _within(self, handler: Any) -> dict[str, Any]:
            return {"user": handler(self)}

    users = repository(User)
    found = users.get(users.save(User(password="x", size=3, name="ada")).ref_id)
    assert (found.password, found.size, found.name, found.greeting) == ("x", 3, "ada", "Hello ada")
    dumped = found.model_dump(include={"password", "size", "name"})["user"]
    assert dumped == {"size": "3 B", "name": "ADA"}
    assert users.count({"name": "ada", "size": 3}) == 1


class Wrapped(BaseModel):
    text: str

    @model_serializer
    def _within(self) -> dict[str, Any]:
        return {"wrapped": self.text}


@row("`model_serializer` of a nested model")
def test_a_serializer_whose_result_cannot_be_read_is_refused() -> None:
    """A nested model that its class would not read back is refused by the save, before anything is sent."""

    class Page(Entity, Mutable, table="pages"):
        column: Wrapped | None = None
        body: Annotated[Wrapped | None, document(collection="pages")] = None

    pages = repository(Page)
    for name in ("column", "body"):
        with pytest.raises(ValidationError, match=rf"Page\.{name}: "):
            pages.save(Page(**{name: Wrapped(text="a")}))


class Shouting(BaseModel):
    text: str = ""

    @field_serializer("text")
    def _upper(self, text: str) -> str:
        return text.upper()


class Hiding(BaseModel):
    secret: int = Field(default=0, exclude=True)


class Louder(Shouting):
    volume: int = 11


class Nest(BaseModel):
    shouting: Shouting = Shouting()
    hiding: Hiding = Hiding()


@row("`field_serializer`, `exclude` and subclasses in a nested model")
@pytest.mark.parametrize("name", ["column", "body"])
def test_what_a_nested_model_would_lose_is_refused(name: str) -> None:
    """A save is refused if a reader would get another value; if the value stays the same, it is kept."""

    class Page(Entity, Mutable, table="pages"):
        column: Nest | None = None
        body: Annotated[Nest | None, document(collection="pages")] = None

    pages = repository(Page)
    kept = pages.save(Page(**{name: Nest(shouting=Shouting(text="LOUD"))}))
    assert getattr(pages.get(kept.ref_id, load=["body"]), name) == Nest(shouting=Shouting(text="LOUD"))
    for lost in (Nest(shouting=Shouting(text="a")), Nest(hiding=Hiding(secret=1)), Nest(shouting=Louder())):
        with pytest.raises(ValidationError, match=rf"Page\.{name}: the value would be different"):
            pages.save(Page(**{name: lost}))


class Named(BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def _strip(cls, name: str) -> str:
        return name.strip()


class Base(Entity, Mutable):
    model_config = ConfigDict(str_to_lower=True)
    shared: str = "S"

    def shout(self) -> str:
        return self.shared.upper()


@row("inheritance and mixins")
def test_fields_validators_and_settings_are_inherited() -> None:
    """Base classes without a table and mixins of BaseModel give their fields, validators and settings."""

    class Member(Named, Base, table="members"):
        age: int = 0

    class Guest(Member, table="guests"):
        host: str = ""

    scope = scope_of(Member, Guest)
    members = scope.repository(Member)
    member = members.get(members.save(Member(name=" ADA ", shared="X")).ref_id)
    assert (member.name, member.shared, member.shout()) == ("ada", "x", "X")
    assert set(Member.storekit_table.columns) == {"name", "shared", "age"}
    guest = scope.repository(Guest).save(Guest(name="eve", host="ada"))
    assert (members.count(), scope.repository(Guest).get(guest.ref_id).host) == (1, "ada")


@row("subclasses of a class with a table")
def test_a_repository_takes_only_records_of_its_own_table() -> None:
    """A subclass with a table has its own records; one without shares those of its base and adds no field."""

    class Member(Base, table="members"):
        age: int = 0

    class Guest(Member, table="guests"):
        pass

    class Elder(Member):
        def years(self) -> str:
            return f"{self.age} years"

    scope = scope_of(Member, Guest)
    members = scope.repository(Member)
    with pytest.raises(UsageError, match="this repository takes Member, not Guest"):
        members.save(Guest())
    elder = members.save(Elder(age=80))
    assert type(members.get(elder.ref_id)) is Member
    assert scope.repository(Elder).get(elder.ref_id).years() == "80 years"
    with pytest.raises(UsageError, match="Lost adds fields to Member: more"):

        class Lost(Member):
            more: int = 0


@row("`model_construct`")
def test_an_object_that_was_not_validated_is_checked_by_the_save() -> None:
    """model_construct() skips pydantic; a value of another type is refused by the save."""

    class Job(Entity, Mutable, table="jobs"):
        tries: int = 0

    jobs = repository(Job)
    assert jobs.get(jobs.save(Job.model_construct(tries=2)).ref_id).tries == 2
    with pytest.raises(ValidationError, match=r"Job\.tries: it must be int, not str"):
        jobs.save(Job.model_construct(tries="2"))
