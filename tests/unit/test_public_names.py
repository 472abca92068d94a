"""Public names: users import everything from `storekit`, `storekit.testing` and `storekit.agency`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import psycopg
import pytest

import storekit
import storekit.agency
import storekit.testing

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs" / "examples").glob("*.py")]
PACKAGES = [storekit, storekit.testing, storekit.agency]
INTERNAL = {"Blob.measure"}
"""Methods that only storekit itself calls; the reference leaves them out."""
STRUCTURAL = {"HasTable"}
"""Protocols of arguments that every entity class has, so that users need no name for them."""


def _functions(thing: Any) -> Iterator[Any]:
    """Yield the function itself, or the public methods and properties of a class and its bases."""
    if not inspect.isclass(thing):
        yield thing
        return
    for base in thing.__mro__:
        if not base.__module__.startswith("storekit"):
            continue
        for name, member in vars(base).items():
            if not name.startswith("_") and f"{base.__name__}.{name}" not in INTERNAL:
                yield getattr(member, "fget", getattr(member, "__func__", member))


def _classes(hint: Any) -> Iterator[type]:
    """Yield each class that a type hint mentions, at any depth, except protocols."""
    if inspect.isclass(hint) and not getattr(hint, "_is_protocol", False):
        yield hint
    for part in get_args(hint):
        yield from _classes(part)


def _mentioned(package: ModuleType) -> Iterator[tuple[str, type]]:
    for name in package.__all__:
        for function in _functions(getattr(package, name)):
            if inspect.isfunction(function) and function.__module__.startswith("storekit"):
                hints = get_type_hints(function, localns={"psycopg": psycopg, "Entity": storekit.Entity})
                yield from ((name, each) for hint in hints.values() for each in _classes(hint))


def _exported() -> set[type]:
    """Return the classes that users can import, and their bases: an argument may be of any subclass."""
    names = [getattr(package, name) for package in PACKAGES for name in package.__all__]
    return {base for each in names if inspect.isclass(each) for base in each.__mro__}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_package_exports_what_its_signatures_mention(package: ModuleType) -> None:
    """Every class in a public signature can be imported from a public package."""
    missing = {
        f"{name} mentions {each.__module__}.{each.__qualname__}"
        for name, each in _mentioned(package)
        if each.__module__.startswith("storekit")
        and each not in _exported()
        and each.__name__ not in STRUCTURAL
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_import_from_public_packages_only(page: Path) -> None:
    """README, docs and examples import storekit only from its three public packages."""
    imported = set(re.findall(r"^\s*(?:from|import) (storekit[\w.]*)", page.read_text(), re.MULTILINE))
    assert imported <= {package.__name__ for package in PACKAGES}


def test_the_page_on_testing_names_everything_that_tests_may_use() -> None:
    """Each public name of `storekit.testing`, of `Memory` and of `faults` is on the page on testing."""
    page = (Path(__file__).parents[2] / "docs" / "howto" / "testing.md").read_text()
    members = [name for name in vars(storekit.testing.Memory) if not name.startswith("_")]
    injected = [
        name
        for name, each in vars(storekit.testing.faults).items()
        if getattr(each, "__module__", "") == "storekit.testing.faults" and not name.startswith("_")
    ]
    named = {*storekit.testing.__all__, *members, *injected, "listen"} - {"drivers", "Fetched", "Points"}
    assert [name for name in named if name not in page] == []
