"""The reference entities of a marketing agency, and their migrations."""

from __future__ import annotations

from importlib import import_module

import pytest

from storekit.agency import ENTITIES, ActivityOutput, BlogPost, Contract, ToolCall
from storekit.model.declare.entity import Entity
from storekit.schema.ddl import render
from storekit.schema.lines import shipped

FILES = sorted(shipped("agency").directory.iterdir(), key=lambda file: file.name)


@pytest.mark.parametrize(("number", "entity"), list(enumerate(ENTITIES, 1)))
def test_each_migration_is_the_rendering_of_a_class(number: int, entity: type[Entity]) -> None:
    """A migration file of agency contains exactly what render() returns for its class."""
    file = FILES[number - 1]
    assert file.name == f"{number:04}_{entity.storekit_table.name}.sql"
    assert file.read_text(encoding="utf-8") == render(entity)


def test_the_view_of_costs_is_the_only_file_without_a_class() -> None:
    """The only file without a class creates a view and no table."""
    [report] = FILES[len(ENTITIES) :]
    assert report.name == "0010_llm_costs_report.sql"
    assert "CREATE VIEW report.llm_costs" in report.read_text(encoding="utf-8")
    assert "CREATE TABLE" not in report.read_text(encoding="utf-8")
    assert {entity.storekit_table.line for entity in ENTITIES} == {"agency"}


def test_the_store_of_each_field() -> None:
    """An output has a document and content, a post neither, a contract a PDF, a tool call a 90-day log."""
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
    """The table of contracts, which are legal records, has no columns for updates or deletes."""
    assert not Contract.storekit_table.mutable
    assert not Contract.storekit_table.soft_delete


def test_all_names_can_be_imported() -> None:
    """Each name in `__all__` can be imported."""
    agency = import_module("storekit.agency")
    assert all(hasattr(agency, name) for name in agency.__all__)
