"""Tables and columns with names of the maximum length."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from storekit import ConstraintViolation, Entity, Settings, Store, references
from storekit.schema.ddl import render
from tests.support.postgres import sample_database


class Parent(Entity, table="p" * 50):
    """The target of the references."""


class Child(Entity, table="c" * 50):
    """Two references whose names are equal in their first 49 characters."""

    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: Annotated[UUID, references(Parent)]
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab: Annotated[UUID, references(Parent)]


FIRST, SECOND = "a" * 50, "a" * 49 + "b"


@pytest.mark.parametrize("column", [FIRST, SECOND])
def test_the_record_with_a_broken_reference_is_named(cluster: str, tmp_path: Path, column: str) -> None:
    """The error of a batch names the record with the broken reference, however long the names are."""
    with (
        sample_database(cluster, tmp_path, f"{render(Parent)}\n{render(Child)}") as database,
        Store.open(Settings(postgres_url=SecretStr(database.url("app")))) as store,
    ):
        scope = store.scope(tenant=uuid4(), actor="test")
        parent = scope.repository(Parent).save(Parent())
        good = {FIRST: parent.id, SECOND: parent.id}
        children = [Child(**good), Child(**{**good, column: uuid4()})]
        with pytest.raises(ConstraintViolation) as caught:
            scope.repository(Child).save_many(children)
        assert caught.value.index == 1
