"""Record the path of a call through storekit's files on the happy path, with stores in memory.

    python -m tests.bench.walks [--trace SAVE]

Rooms are the entered files, calls are calls of storekit's own functions, a hand-over is
a call in another file than the call before it, and upward are the hand-overs from a lower layer to a
higher one. Calls inside a driver are not recorded, because they depend on the implementation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import storekit
from storekit import Blob, Entity, Expired, Mutable, Settings, Store, blob, document, index
from storekit.testing import Memory

T = TypeVar("T")

_ROOT = Path(storekit.__file__).parent
_LEFT_OUT = ("drivers/", "testing/")
_LAYERS = {"api": 4, "assembly.py": 3, "deploy": 3, "flows": 2, "schema": 2, "model": 1}
"""The higher layers; all others are below them."""


class Item(Entity, Mutable, table="walk_items", indexes=(index("name", "-created_on"),)):
    """A record with columns only."""

    name: str
    score: int = 0


class Paper(Entity, Mutable, table="walk_papers"):
    """A record with a document and a blob."""

    title: str
    body: Annotated[
        dict[str, Any] | Expired | None, document(collection="walk_bodies", ttl=timedelta(days=90))
    ] = None
    text: Annotated[Blob | None, blob(media_type="text/markdown")] = None


@dataclass(frozen=True, slots=True)
class Walk:
    """The record of one call: `steps` contains each called function as `file:function`."""

    steps: list[str]

    @property
    def files(self) -> list[str]:
        """Return the file of each call."""
        return [each.partition(":")[0] for each in self.steps]

    @property
    def row(self) -> tuple[int, int, int, int]:
        """Return rooms, hand-overs, calls and upward hand-overs."""
        pairs = [(a, b) for a, b in zip(self.files, self.files[1:], strict=False) if a != b]
        upward = sum(_layer(a) < _layer(b) for a, b in pairs)
        return len(set(self.files)), len(pairs), len(self.steps), upward


def record(call: Callable[[], object]) -> Walk:
    """Record each call of a function of storekit that `call` makes in this thread."""
    steps: list[str] = []
    seen: set[int] = set()
    kept: list[FrameType] = []

    def heard(frame: FrameType, event: str, _: object) -> None:
        # resuming a coroutine is not a call; Python 3.12 inlines comprehensions
        if event != "call" or id(frame) in seen or frame.f_code.co_name.startswith("<"):
            return
        seen.add(id(frame))
        kept.append(frame)
        file = _inside(frame)
        if file and not any(_inside(caller).startswith(_LEFT_OUT) for caller in _callers(frame)):
            steps.append(f"{file}:{frame.f_code.co_name}")

    sys.setprofile(heard)
    try:
        call()
    finally:
        sys.setprofile(None)
    return Walk(steps)


def _inside(frame: FrameType) -> str:
    """Return the path of a frame's file inside storekit; empty outside of it."""
    path = Path(frame.f_code.co_filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else ""


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


class _Inline:
    """A runtime that runs everything in the caller's thread, in a fixed order."""

    async def wave(
        self,
        puts: Sequence[Callable[[], Awaitable[T]]],
        beat: Callable[[], Awaitable[None]],
        every: timedelta,
        told: Callable[[T], None] = lambda _: None,
    ) -> list[T]:
        done = []
        for put in puts:
            done.append(await put())
            told(done[-1])
        return done

    async def blocking(self, work: Callable[[], T]) -> T:
        return work()

    async def sleep(self, delay: timedelta) -> None:
        raise AssertionError("nothing waits on the happy path")

    async def close(self) -> None:
        """Close nothing."""


def _layer(file: str) -> int:
    return _LAYERS.get(Path(file).parts[0], 0)


def walks() -> dict[str, Walk]:
    """Record the most frequent calls of users."""
    memory = Memory()
    memory.declare(Item, Paper)
    with Store(Settings.model_validate({}), drivers={**memory.drivers, "runtime": _Inline()}) as store:
        scope = store.scope(tenant=uuid4(), actor="user:jane")
        items, papers = scope.repository(Item), scope.repository(Paper)

        def paper() -> Paper:
            return Paper(title="a", body={"q": "x"}, text=Blob("# hi"))

        def unit(*entities: Entity) -> None:
            with scope.transaction() as tx:
                for each in entities:
                    tx.save(each)

        items.save(Item(name="first"))
        known, changed = items.save(Item(name="known")), items.save(Item(name="changed"))
        stored = papers.save(paper())
        new, whole, one, two = Item(name="new"), paper(), Item(name="one"), Item(name="two")
        changed.score = 2
        return {
            "save, columns": record(lambda: items.save(new)),
            "save, document and blob": record(lambda: papers.save(whole)),
            "save, loaded": record(lambda: items.save(changed)),
            "url": record(lambda: papers.url(stored.ref_id, "text")),
            "get": record(lambda: papers.get(stored.ref_id)),
            "get(load=)": record(lambda: papers.get(stored.ref_id, load=["body"])),
            "find, first": record(lambda: items.find({"name": "known"})),
            "find, again": record(lambda: items.find({"name": "known"})),
            "unit, two saves": record(lambda: unit(one, two)),
            "update": record(lambda: items.update(known.ref_id, {"score": 3})),
        }


def main() -> None:
    """Print the table, or the steps of one walk."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.walks", description=__doc__)
    parser.add_argument("--trace", metavar="WALK", help="print each call of one walk")
    name = parser.parse_args().trace
    found = walks()
    if name:
        print(*found[name].steps, sep="\n")
        return
    print(f"{'walk':<26}{'rooms':>7}{'hand-overs':>12}{'calls':>7}{'upward':>8}")
    for title, walk in found.items():
        rooms, handed, calls, upward = walk.row
        print(f"{title:<26}{rooms:>7}{handed:>12}{calls:>7}{upward:>8}")


if __name__ == "__main__":
    main()
