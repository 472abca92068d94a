"""Collections of other applications stay as they are, and the concerns do not depend on MONGO_URL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from pydantic import SecretStr
from pymongo.monitoring import CommandListener, CommandStartedEvent

from storekit import ConfigurationError, Settings, Store
from storekit.drivers.mongo.control import ensure_collections
from tests.support.entities import Report

THEIRS: dict[str, list[dict[str, Any]]] = {
    "documents": [{"customer": 1, "expiresOn": datetime(2020, 1, 1, tzinfo=UTC)}],
    "no document": [],
}


@pytest.fixture
def client(embedded: Store) -> Iterator[pymongo.MongoClient[Any]]:
    assert embedded.settings.mongo_url
    found: pymongo.MongoClient[Any] = pymongo.MongoClient(embedded.settings.mongo_url.get_secret_value())
    with found:
        yield found


@pytest.mark.parametrize("what", THEIRS)
@pytest.mark.parametrize("validator", [{}, {"$jsonSchema": {"required": ["tenantId"]}}])
def test_a_collection_of_another_application_is_refused(
    embedded: Store, client: pymongo.MongoClient[Any], what: str, validator: dict[str, Any]
) -> None:
    """A collection that storekit did not make is refused, and neither it nor any other is changed."""
    if validator and THEIRS[what]:
        validator = {"$jsonSchema": {"required": ["customer"]}}
    name, fresh = f"c{uuid4().hex}", f"c{uuid4().hex}"
    theirs = client["storekit"].create_collection(name, validator=validator)
    if THEIRS[what]:
        theirs.insert_many([dict(each) for each in THEIRS[what]])
    with pytest.raises(ConfigurationError, match=f"collection {name} .* not storekit's.*document\\(coll"):
        ensure_collections(embedded.settings, [fresh, name])
    assert [each["name"] for each in theirs.list_indexes()] == ["_id_"]
    assert theirs.options().get("validator", {}) == validator
    assert theirs.count_documents({}) == len(THEIRS[what])
    assert fresh not in client["storekit"].list_collection_names()
    theirs.drop()


def test_own_collections_are_accepted_again(embedded: Store, client: pymongo.MongoClient[Any]) -> None:
    """A collection of storekit is updated, also if its first document created it before migrate ran."""
    name = f"c{uuid4().hex}"
    for _ in range(2):
        ensure_collections(embedded.settings, [name])
    store = embedded.scope(tenant=uuid4(), actor="a").repository(Report)
    store.save(Report(title="t", body={"a": 1}))
    document = client["storekit"]["report_bodies"].find_one({"body.a": 1})
    assert document is not None
    early = client["storekit"][f"c{uuid4().hex}"]
    early.insert_one(document)
    ensure_collections(embedded.settings, [early.name])
    assert {"expiresOn_ttl"} < {each["name"] for each in early.list_indexes()}
    client["storekit"][name].drop()
    early.drop()


class _Commands(CommandListener):
    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def started(self, event: CommandStartedEvent) -> None:
        self.sent[event.command_name] = event.command

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


def test_concerns_are_pinned(embedded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever MONGO_URL says, writes and reads are of the majority, journaled, and on the primary."""
    commands = _Commands()
    kind = pymongo.MongoClient
    monkeypatch.setattr(pymongo, "MongoClient", lambda *a, **k: kind(*a, **k, event_listeners=[commands]))
    assert embedded.settings.mongo_url
    url = embedded.settings.mongo_url.get_secret_value()
    weak = f"{url}&readPreference=secondary&readConcernLevel=local&w=1&journal=false&wtimeoutMS=5"
    settings = embedded.settings.model_copy(update={"mongo_url": SecretStr(weak)})
    with Store.open(settings) as store:
        reports = store.scope(tenant=uuid4(), actor="a").repository(Report)
        saved = reports.save(Report(title="t", body={"a": 1}))
        assert reports.get(saved.ref_id, load=["body"]).body == {"a": 1}
    assert commands.sent["insert"]["writeConcern"] == {"w": "majority", "j": True}
    assert commands.sent["find"]["readConcern"] == {"level": "majority"}
    assert commands.sent["find"].get("$readPreference", {"mode": "primary"})["mode"] in {
        "primary",
        "primaryPreferred",  # what pymongo sends on a direct connection
    }


@pytest.mark.parametrize("name", ["a b", "a/b", "a.b", 'a"b', "a$b", "", "x" * 64])
def test_an_invalid_name_of_a_database_is_refused(embedded: Store, name: str) -> None:
    """MONGO_DATABASE is checked before anything is sent, and the error lists what a name may contain."""
    settings: Settings = embedded.settings.model_copy(update={"mongo_database": name})
    with pytest.raises(ConfigurationError, match="MONGO_DATABASE is .*1 to 63"):
        ensure_collections(settings, ["notes"])
