"""The reference domain and its migrations."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from storekit.agency import ENTITIES, ActivityOutput, BlogPost, Contract, ToolCall
from storekit.model.declare.entity import Entity
from storekit.model.table.keys import key_definitions
from storekit.model.table.names import qualified
from storekit.schema.ddl import render
from storekit.schema.lines import shipped

FILES = dict(sorted((file.name, file.read_text()) for file in shipped("agency").directory.iterdir()))


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_migrations_hold_the_rendering_of_each_class(entity: type[Entity]) -> None:
    """Every block of a class's SQL stands in the line, its last word after all others but indexes."""
    line = "".join(FILES.values())
    blocks = [block for block in render(entity).strip().split("\n\n") if not block.startswith("CREATE INDEX")]
    places = [line.rfind(block) for block in blocks]
    assert min(places) >= 0
    assert max(places) == places[-1]
    on = qualified(entity.storekit_table.name)
    for key in (key for key in key_definitions(entity.storekit_table) if not key.inline):
        assert key.create(on) in line or key.build(on, key.name, "CONCURRENTLY IF NOT EXISTS ") in line


def test_every_migration_has_its_class() -> None:
    """The line manages nothing that no class declares, and a table is made after those it refers to."""
    managed = re.findall(r"storekit\.manage\('public\.(\w+)'", "".join(FILES.values()))
    assert list(dict.fromkeys(managed)) == [entity.storekit_table.name for entity in ENTITIES]
    assert {entity.storekit_table.line for entity in ENTITIES} == {"agency"}


def test_split_of_fields_over_the_stores() -> None:
    """Output: document and content; post: neither; contract: a PDF; tool call: a payload for 90 days."""
    output, contract, call = (each.storekit_table.parts for each in (ActivityOutput, Contract, ToolCall))
    assert {name: part.kind for name, part in output.items()} == {"metadata": "document", "content": "blob"}
    assert output["metadata"].collection == "activity_outputs"
    assert output["metadata"].links == ("content",)
    assert not BlogPost.storekit_table.parts
    assert contract["pdf"].media_type == "application/pdf"
    assert (call["payload"].collection, call["payload"].ttl and call["payload"].ttl.days) == (
        "tool_call_logs",
        90,
    )


def test_contracts_are_append_only() -> None:
    """A contract is a legal record: its table has no columns for change or deletion."""
    assert not Contract.storekit_table.mutable
    assert not Contract.storekit_table.soft_delete


def test_all_is_sorted_and_true() -> None:
    """The package exports what it says."""
    agency = import_module("storekit.agency")
    assert all(hasattr(agency, name) for name in agency.__all__)
