"""A class that changes after its table was created, on real servers in a directory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from storekit import (
    ConfigurationError,
    Entity,
    Expired,
    Line,
    Mutable,
    Settings,
    Store,
    document,
    index,
    references,
    unique,
)
from storekit.deploy import embedded
from storekit.deploy.migrate import migrate
from storekit.ids import new_ref_id


class Author(Entity, table="authors"):
    name: str


class Note(Entity, Mutable, table="letters"):
    title: str


class Elsewhere(Entity, table="elsewhere"):
    name: str


class Status(StrEnum):
    DRAFT = "draft"
    FINAL = "final"


class Payload(BaseModel):
    query: str


class Longer(Entity, Mutable, table="letters", indexes=[index("status", "-created_on")]):
    title: str
    status: Status = Status.DRAFT
    author_id: Annotated[UUID | None, references(Author)] = None
    log: Annotated[Payload | Expired | None, document(collection="logs", ttl=timedelta(days=9))] = None


class Draft(Entity, Mutable, table="sketches"):
    title: str


class Stray(Entity, table="strays"):
    """A class without a table."""

    title: str
    log: Annotated[Payload | Expired | None, document(collection="stray_logs", ttl=timedelta(days=9))] = None


class Ahead(Entity, Mutable, table="sketches"):
    title: str
    status: Status = Status.DRAFT
    author_id: Annotated[UUID | None, references(Author)] = None
    log: Annotated[Payload | Expired | None, document(collection="logs", ttl=timedelta(days=9))] = None


class Ticket(Entity, table="tickets"):
    number: str


class Numbered(Entity, table="tickets"):
    number: int


class Person(Entity, table="people"):
    email: str


class Unique(Entity, table="people", indexes=[unique("email")]):
    email: str


class Later(Entity, table="later"):
    name: str


class Kept(Entity, table="kept"):
    name: str


class Event(Entity, table="events"):
    name: str


class Idle(Entity, table="idle"):
    name: str


@pytest.fixture
def home(embedded: Store, stack: Path) -> Path:
    """The directory of running servers."""
    return stack


def files(home: Path) -> list[str]:
    return [file.name[5:] for file in sorted((home / "migrations").iterdir())]


def refusal(home: Path, entity: type[Entity]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Store.embedded(home, entities=[entity]).__enter__()
    return str(caught.value)


def test_variables_for_other_servers_are_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies, PG* and AWS_* variables of the process do not reach the embedded servers and their clients."""
    nowhere = "http://127.0.0.1:9"
    for name in ("http_proxy", "https_proxy", "all_proxy", "aws_endpoint_url_s3"):
        monkeypatch.setenv(name, nowhere)
        monkeypatch.setenv(name.upper(), nowhere)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    postgres = {"SSLMODE": "verify-full", "OPTIONS": "-c search_path=nowhere", "HOSTADDR": "127.0.0.9"}
    postgres |= {"TARGETSESSIONATTRS": "standby", "GSSENCMODE": "require", "CHANNELBINDING": "require"}
    postgres |= {"TZ": "Asia/Tokyo", "DATESTYLE": "SQL, DMY", "USER": "nobody", "CLIENTENCODING": "LATIN1"}
    aws = {"PROFILE": "missing", "USE_FIPS_ENDPOINT": "true", "CA_BUNDLE": "/missing", "MAX_ATTEMPTS": "many"}
    for prefix, variables in (("PG", postgres), ("AWS_", aws)):
        for name, value in variables.items():
            monkeypatch.setenv(prefix + name, value)
    (home / "schema.sha256").unlink(missing_ok=True)  # so that the bucket is checked again
    with Store.embedded(home, entities=[Elsewhere]) as store:
        store.migrate()
        # other settings than those of the worker's store, whose connections are open already
        settings = store.settings.model_copy(update={"pool_queue": store.settings.pool_queue + 1})
        with Store.open(settings) as fresh:
            records = fresh.scope(tenant=uuid4(), actor="test").repository(Elsewhere)
            saved = records.save(Elsewhere(name="A"))
            assert records.get(saved.ref_id).created_on == saved.created_on
    monkeypatch.setenv("PGSERVICE", "missing")
    with Store.open(settings) as other, pytest.raises(ConfigurationError, match="service"):
        other.scope(tenant=uuid4(), actor="test").repository(Elsewhere).get(saved.ref_id)


def test_additions_to_a_class_are_migrated_at_start(home: Path) -> None:
    """Additions are written as new files and applied; old records stay and the new class can be saved."""
    tenant, before = uuid4(), len(files(home))
    with Store.embedded(home, entities=[Author, Note]) as store:
        old = store.scope(tenant=tenant, actor="test").repository(Note).save(Note(title="before"))
    with Store.embedded(home, entities=[Longer]) as changed:
        scope = changed.scope(tenant=tenant, actor="test")
        authors, notes = scope.repository(Author), scope.repository(Longer)
        assert notes.get(old.ref_id).status is Status.DRAFT
        author = authors.save(Author(name="A"))
        new = notes.save(Longer(title="after", author_id=author.id, log=Payload(query="x")))
        assert notes.get(new.ref_id, load=["log"]).log == Payload(query="x")
    assert files(home)[before:] == ["authors_letters.sql", "letters.sql"]


def test_a_change_that_needs_a_decision_is_refused(home: Path) -> None:
    """The error names class, difference and file; following it keeps the table and its rows."""
    tenant = uuid4()
    with Store.embedded(home, entities=[Ticket]) as store:
        old = store.scope(tenant=tenant, actor="test").repository(Ticket).save(Ticket(number="7"))
    before = files(home)
    said = refusal(home, Numbered)
    assert said.startswith(
        "the database differs from Numbered (public.tickets: column number is text, not bigint); "
    )
    assert files(home) == before
    path, sql = re.findall(r"write this to (\S+\.sql),", said)[0], said.partition("\n\n")[2]
    Path(path).write_text("\n".join(line.removeprefix("-- ") for line in sql.splitlines()[1:]))
    with Store.embedded(home, entities=[Numbered]) as changed:
        tickets = changed.scope(tenant=tenant, actor="test").repository(Numbered)
        assert tickets.get(old.ref_id).number == 7
        assert tickets.save(Numbered(number=8)).version == 1


def test_a_file_that_cannot_be_applied_is_removed(home: Path) -> None:
    """A written migration that the rows violate is deleted again."""
    with Store.embedded(home, entities=[Person]) as store:
        people = store.scope(tenant=uuid4(), actor="test").repository(Person)
        people.save_many([Person(email="a@b.example"), Person(email="a@b.example")])
    before = files(home)
    assert "could not create unique index" in refusal(home, Unique)
    assert files(home) == before
    with Store.embedded(home, entities=[Person, Later]):
        assert files(home) == [*before, "later.sql"]


def test_an_applied_file_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If setting up fails after the file's transaction, the file is kept with its record."""

    def fail_later(settings: Settings, lines: Sequence[Line]) -> None:
        if migrate(settings, lines):
            raise ConfigurationError("the bucket is lost")

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "migrate", fail_later)
        assert refusal(home, Kept) == "the bucket is lost"
    assert files(home)[-1] == "kept.sql"
    with Store.embedded(home, entities=[Kept]):
        assert files(home)[-1] == "kept.sql"


def test_concurrent_starts_write_one_file(home: Path) -> None:
    """Two stores with the same new class write its file once, and both can use it."""
    before = len(files(home))
    tenant = uuid4()

    def start(name: str) -> str:
        with Store.embedded(home, entities=[Event]) as store:
            return store.scope(tenant=tenant, actor="test").repository(Event).save(Event(name=name)).ref_id

    with ThreadPoolExecutor(4) as pool:
        assert len({*pool.map(start, "abcd")}) == 4
    assert files(home)[before:] == ["events.sql"]


def test_known_classes_are_not_compared_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with the classes of the last one attaches at once; another class is compared."""
    with Store.embedded(home, entities=[Idle]):
        pass
    compared: list[object] = []

    def note(*given: object, **_: object) -> list[object]:
        compared.append(given)
        return []

    monkeypatch.setattr(embedded, "compare", note)
    with Store.embedded(home, entities=[Idle]):
        assert compared == []
    with Store.embedded(home):
        assert len(compared) == 1


def test_a_class_ahead_of_its_table_is_a_configuration_error(home: Path) -> None:
    """The error names what is missing, of whatever kind, and the command to run."""
    with Store.embedded(home, entities=[Draft]) as store, Store.open(store.settings) as other:
        scope = other.scope(tenant=uuid4(), actor="test")
        with pytest.raises(ConfigurationError, match=r"no column or part (status, author|author_id, s)"):
            scope.repository(Ahead).save(Ahead(title="after"))
        with pytest.raises(ConfigurationError, match=r"sketches\.log is not declared.*storekit schema diff"):
            scope.repository(Ahead).save(Ahead(title="after", log=Payload(query="x")))
        with pytest.raises(ConfigurationError, match="table strays does not exist.*storekit migrate"):
            scope.repository(Stray).save(Stray(title="x"))
        with pytest.raises(ConfigurationError, match="storekit migrate"):
            scope.repository(Stray).get(new_ref_id())
        with pytest.raises(ConfigurationError, match="table strays does not exist.*storekit migrate"):
            scope.repository(Stray).save(Stray(title="x", log=Payload(query="x")))
