"""The docstrings of the public API are complete, and their examples run, sync and async."""

from __future__ import annotations

import ast
import doctest
import inspect
import io
import re
from collections.abc import Generator, Sequence
from contextlib import redirect_stdout
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest

import storekit
import storekit.testing
from storekit.api.blob_stream import AsyncBlobStream
from storekit.flows.context import NIL
from storekit.ports.statements import Origin, Report, Statement
from storekit.ports.stores import BlobStream, Session
from storekit.schema.lines import Migration
from storekit.testing import Memory
from storekit.testing.stores.ledger import MemoryLedger, MemorySession

SYNC: list[Any] = [
    storekit.Store,
    storekit.Scope,
    storekit.Repository,
    storekit.Transaction,
    storekit.Cursor,
    BlobStream,
    storekit.testing.memory_store,
]
ASYNC: list[Any] = [
    storekit.AsyncStore,
    storekit.AsyncScope,
    storekit.AsyncRepository,
    storekit.AsyncTransaction,
    storekit.AsyncCursor,
    AsyncBlobStream,
    storekit.testing.async_memory_store,
]
MEMBERS = [
    pytest.param(kind, name, id=f"{kind.__name__}.{name}" if name else kind.__name__)
    for kind in SYNC + ASYNC
    for name in ["", *(each for each in vars(kind) if not each.startswith("_"))]
]
"""Each public class or function, with the empty name, and each public member of a class."""


def documented(kind: type, name: str) -> Any:
    """Return the function behind a member, or the class."""
    member = vars(kind)[name] if name else kind
    member = getattr(member, "fget", getattr(member, "__func__", member))
    return inspect.unwrap(member)


def sections(text: str) -> dict[str, str]:
    """Return the sections of a Google-style docstring by title; the text before the first has none."""
    found = re.split(r"^(Args|Returns|Raises|Example):$", text, flags=re.MULTILINE)
    return {"": found[0], **dict(zip(found[1::2], found[2::2], strict=True))}


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_the_docstring_of_each_public_member_is_complete(kind: type, name: str) -> None:
    """A docstring has a summary, the cost, all arguments, the result, the errors and an example."""
    member = documented(kind, name)
    parts = sections(inspect.getdoc(member) or "")
    first = parts[""].splitlines()[0]
    assert re.fullmatch(r"(?!(?:The|An?|As|What) )[A-Z][a-z]+ .*\.", first), (
        "the first line is an imperative sentence"
    )
    assert ">>> " in parts["Example"]
    if inspect.isclass(member):
        return
    assert "Cost: " in parts[""] or "No I/O." in parts[""]
    signature = inspect.signature(member)
    arguments = set(signature.parameters) - {"self", "cls"}
    assert set(re.findall(r"^    (\w+): ", parts.get("Args", ""), re.MULTILINE)) == arguments
    assert ("Returns" in parts) == (signature.return_annotation not in {"None", None})
    errors = re.findall(r"^    (\w+): ", parts.get("Raises", ""), re.MULTILINE)
    assert all(issubclass(getattr(storekit, error), storekit.StorekitError) for error in errors)


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
async def test_each_example_runs(kind: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of each class and member prints what it shows, on memory stores."""
    asynchronous = kind in ASYNC
    memory = ExampleMemory()
    names = example_names(memory, monkeypatch, asynchronous=asynchronous)
    repository = storekit.AsyncRepository if asynchronous else storekit.Repository
    await run(repository, "", names, memory)  # this example declares the class that all others use
    if (kind, name) != (repository, ""):
        await run(kind, name, names, memory)


DECLARED: dict[str, dict[str, Any]] = {}
"""The classes of the examples by their source: to declare one takes 20 ms, and there are 100 examples."""


async def run(kind: type, name: str, names: dict[str, Any], memory: Memory) -> None:
    """Run the example of a member, which may await, and compare its output."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for example in doctest.DocTestParser().get_examples(inspect.getdoc(documented(kind, name)) or ""):
        if example.source in DECLARED:
            declare(names, DECLARED[example.source], memory)
            continue
        known = set(names)
        code = compile(example.source, f"<{kind.__name__}.{name}>", "single", flags, dont_inherit=True)
        with redirect_stdout(io.StringIO()) as out:
            result = eval(code, names)
            if code.co_flags & inspect.CO_COROUTINE:
                await result
        assert out.getvalue() == example.want, example.source
        if example.source.startswith("class "):
            DECLARED[example.source] = {each: names[each] for each in names.keys() - known}
            declare(names, DECLARED[example.source], memory)


def declare(names: dict[str, Any], classes: dict[str, Any], memory: Memory) -> None:
    """Define the classes of an example, and their tables in the memory."""
    names |= classes
    memory.declare(*(each for each in classes.values() if hasattr(each, "storekit_table")))


def example_names(memory: Memory, monkeypatch: pytest.MonkeyPatch, *, asynchronous: bool) -> dict[str, Any]:
    """Return the names that examples may use; every store that they open uses this memory."""
    kind = storekit.AsyncStore if asynchronous else storekit.Store
    settings = storekit.Settings.model_validate({})

    def open_(_: Any, /, *arguments: object, **keywords: object) -> Any:
        return kind(settings, drivers=memory.drivers)

    monkeypatch.setattr(kind, "open", classmethod(open_))
    monkeypatch.setattr(kind, "embedded", classmethod(open_))
    for module in ("store", "store_async"):
        monkeypatch.setattr(f"storekit.api.{module}.migrate", migrations)
    packages = (storekit, storekit.testing)
    names = {name: getattr(package, name) for package in packages for name in package.__all__}
    names |= {"Annotated": Annotated, "Any": Any, "StrEnum": StrEnum, "Path": Path}
    names |= {"sha256": sha256, "uuid4": uuid4, "tenant_id": uuid4(), "__name__": __name__}
    names["store"] = kind(settings, drivers=memory.drivers)
    names["acme"] = names["store"].scope(tenant=names["tenant_id"], actor="user:jane")
    return names


def migrations(*_: object, **__: object) -> list[Migration]:
    """Return the migrations of a database to which one file has not been applied."""
    return [Migration("app", 1, "articles", "SELECT 1")]


class ExampleMemory(Memory):
    """Memory stores that also return reports and run SQL, which only Postgres can do."""

    @property
    def drivers(self) -> dict[str, Any]:
        return super().drivers | {"ledger": ExampleLedger(self._state)}


class ExampleLedger(MemoryLedger):
    """A ledger with one report, which creates each table at its first use."""

    async def pipeline(self, tenant: UUID, actor: str, statements: Sequence[Statement]) -> list[Any]:
        if isinstance(statements[0], Report):
            return [[{"tenant_id": str(NIL), "articles": 1}]]
        return await super().pipeline(tenant, actor, statements)

    def session(self, tenant: UUID, origin: Origin, within: Any = None) -> Session:
        return ExampleSession(self._state, tenant, origin)


class ExampleSession(MemorySession):
    """A session whose connection takes any SQL."""

    @property
    def connection(self) -> Any:
        return ExampleConnection()


class ExampleConnection:
    """A connection that ignores all SQL."""

    def execute(self, sql: str) -> ExampleConnection:
        return self

    def __await__(self) -> Generator[None, None, ExampleConnection]:
        yield from ()
        return self
