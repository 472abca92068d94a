"""Frozen records, aliases and copies."""

from __future__ import annotations

import copy
import pickle
from typing import Annotated, Any
from uuid import uuid4

import pydantic
import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from storekit import (
    Blob,
    ConstraintViolation,
    Entity,
    Mutable,
    UsageError,
    ValidationError,
    blob,
    document,
)
from tests.support.features import repository, row


@row("`frozen` class")
def test_a_frozen_record_is_changed_by_a_copy_or_an_update() -> None:
    """Objects of a frozen class refuse assignments; update and the save of a copy write the record."""

    class Rate(Entity, Mutable, table="rates"):
        model_config = ConfigDict(frozen=True)
        value: int = 1

    rates = repository(Rate)
    rate = rates.save(Rate())
    assert rate.version == 1
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        rate.value = 2
    assert rates.save(rate.model_copy(update={"value": 2})).version == 2
    assert rates.update(rate.ref_id, {"value": 3}).value == 3


@row("`Field(frozen=True)`")
def test_a_frozen_field_cannot_change_after_the_first_save() -> None:
    """An assignment, update, upsert or copy that would change a stored frozen field is refused."""

    class Account(Entity, Mutable, table="accounts", natural_key=["name"]):
        name: str
        owner: str = Field(default="ada", frozen=True)
        tags: list[str] = Field(default=[], frozen=True)
        limit: int = 0

    accounts = repository(Account)
    account = accounts.save(Account(name="a"))
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        account.owner = "bob"
    edited = accounts.get(account.ref_id)
    edited.tags.append("x")
    for call in (
        lambda: accounts.update(account.ref_id, {"owner": "bob"}),
        lambda: accounts.upsert([Account(name="a", owner="bob")]),
        lambda: accounts.save(account.model_copy(update={"owner": "bob"})),
        lambda: accounts.save(edited),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            call()
    assert accounts.upsert([Account(name="a", owner="ada", limit=3)])[0].limit == 3
    assert (accounts.get(account.ref_id).owner, accounts.get(account.ref_id).tags) == ("ada", [])


@row("`alias`, `validation_alias`, `serialization_alias`")
def test_aliases_name_input_and_output_and_never_the_column() -> None:
    """Constructor and dump use aliases; update, find, indexes and the table use the name of the field."""

    class Person(Entity, Mutable, table="people", natural_key=["name"]):
        name: str = Field(alias="fullName")
        age: int = Field(default=0, validation_alias=AliasChoices("years", "age"))
        city: str = Field(default="", serialization_alias="town")

    people = repository(Person)
    saved = people.save(Person.model_validate({"fullName": "Ada", "years": 3, "city": "Bern"}))
    found = people.get(saved.ref_id)
    assert (found.name, found.age, found.city) == ("Ada", 3, "Bern")
    found.age = 4
    assert people.save(found).version == 2
    assert people.update(saved.ref_id, {"name": "Eve"}).model_dump(by_alias=True)["fullName"] == "Eve"
    assert people.count({"name": "Eve", "age": 4}) == 1
    with pytest.raises(ValidationError, match="unknown field"):
        people.update(saved.ref_id, {"fullName": "Bob"})
    (again,) = people.upsert([Person.model_validate({"fullName": "Eve", "years": 9})])
    assert (again.ref_id, again.age, again.city) == (saved.ref_id, 9, "Bern")


@row("`alias_generator`, `populate_by_name`")
def test_generated_aliases_apply_to_input_and_to_nested_models() -> None:
    """A generator gives aliases to the fields; a nested model is stored under its aliases and read back."""

    class Inner(BaseModel):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        first_name: str

    class Camel(Entity, Mutable, table="camels"):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        inner_model: Inner
        body: Annotated[Inner | None, document(collection="camels")] = None

    camels = repository(Camel)
    made = camels.save(Camel(inner_model=Inner(first_name="a"), body=Inner(first_name="b")))
    found = camels.get(made.ref_id, load=["body"])
    assert (found.inner_model, found.body) == (made.inner_model, made.body)
    assert camels.update(made.ref_id, {"inner_model": {"firstName": "c"}}).inner_model.first_name == "c"


class Draft(Entity, Mutable, table="drafts"):
    title: str = ""
    file: Annotated[Blob | None, blob()] = None


@row("`model_copy`, `copy`, `pickle`")
def test_a_copy_stands_for_the_same_record() -> None:
    """Saving a copy writes to the record of the original; it cannot get another id or unknown fields."""

    drafts = repository(Draft)
    draft = drafts.save(Draft(title="a", file=Blob("one")))
    for made in (
        draft.model_copy(),
        draft.model_copy(deep=True),
        copy.copy(draft),
        copy.deepcopy(draft),
        pickle.loads(pickle.dumps(draft)),
    ):
        assert (made, made.ref_id) == (draft, draft.ref_id)
        assert drafts.save(made).version == 1
    other = draft.model_copy(update={"title": "b"})
    assert (drafts.save(other).version, drafts.get(draft.ref_id).title) == (2, "b")
    for update in ({"ref_id": "x"}, {"id": uuid4()}, {"nope": 1}):
        with pytest.raises(UsageError, match=r"model_copy\(\) cannot set"):
            draft.model_copy(update=update)
    new = Draft(title="new")
    drafts.save(new.model_copy())
    with pytest.raises(ConstraintViolation, match="another record has the same id"):
        drafts.save(new)


def test_a_save_of_a_copy_leaves_the_original_as_it_was() -> None:
    """What a save remembers of one object does not change the other object."""
    drafts = repository(Draft)
    draft = drafts.get(drafts.save(Draft(file=Blob("one"))).ref_id)
    other = draft.model_copy()
    other.file = Blob("one")
    assert drafts.save(other).version == 1  # the same content
    draft.title = "b"
    assert drafts.save(draft).version == 2


def test_a_copy_shares_the_content_of_an_open_file(tmp_path: Any) -> None:
    """A deep copy of a record with an open file can be made and saved."""
    path = tmp_path / "content"
    path.write_bytes(b"one")
    drafts = repository(Draft)
    with path.open("rb") as file:
        saved = drafts.save(Draft(file=Blob(file)).model_copy(deep=True))
    assert drafts.read(saved.ref_id, "file") == b"one"
