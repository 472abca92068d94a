"""A class that changes after its table was made, on real servers."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from storekit import ConfigurationError, Entity, Expired, Mutable, Store, document, references


class Author(Entity, table="authors"):
    name: str


class Note(Entity, Mutable, table="notes"):
    title: str


class Status(StrEnum):
    DRAFT = "draft"
    FINAL = "final"


class Payload(BaseModel):
    query: str


class Longer(Entity, Mutable, table="notes"):
    title: str
    status: Status = Status.DRAFT
    author_id: Annotated[UUID | None, references(Author)] = None
    log: Annotated[Payload | Expired | None, document(collection="logs", ttl=timedelta(days=9))] = None


def test_who_follows_the_message_keeps_the_table_and_its_rows(tmp_path: Path) -> None:
    """What the message prints, put where it says alters the table with its rows; then the new class saves."""
    tenant = uuid4()
    with Store.embedded(tmp_path / "data", entities=[Author, Note]) as store:
        old = store.scope(tenant=tenant, actor="test").repository(Note).save(Note(title="before"))
        with pytest.raises(ConfigurationError) as caught:
            Store.embedded(tmp_path / "data", entities=[Author, Longer]).__enter__()
        said = str(caught.value)
        Path(re.findall(r"write the change as (\S+\.sql),", said)[0]).write_text(said.partition("\n\n")[2])
        with Store.embedded(tmp_path / "data", entities=[Author, Longer]) as changed:
            scope = changed.scope(tenant=tenant, actor="test")
            authors, notes = scope.repository(Author), scope.repository(Longer)
            assert notes.get(old.ref_id).status is Status.DRAFT
            author = authors.save(Author(name="A"))
            new = notes.save(Longer(title="after", author_id=author.id, log=Payload(query="x")))
            assert notes.get(new.ref_id, load=["log"]).log == Payload(query="x")
