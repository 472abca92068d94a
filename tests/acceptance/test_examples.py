"""The examples about records run unchanged, each in a process of its own, on shared servers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from storekit import Store
from tests.support.commands import python
from tests.support.stacks import Stacks

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ABOUT_RECORDS = ["leads.py", "orders.py", "positions.py", "webhooks.py"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, stacks: Stacks) -> Iterator[Path]:
    """Keep one stack running; every example that opens its directory attaches to it."""
    path = stacks.prepare(tmp_path_factory.mktemp("examples") / "data")
    with Store.embedded(path):
        yield path


def run(example: str, *arguments: str | Path) -> list[str]:
    done = python(EXAMPLES / example, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("example", ABOUT_RECORDS)
def test_examples_use_the_public_api_and_fit_on_a_screen(example: str) -> None:
    """An example has at most sixty lines and imports only the public package."""
    text = (EXAMPLES / example).read_text()
    assert len(text.splitlines()) <= 60
    modules = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name and name.startswith("storekit")} <= {"storekit"}


def test_orders(directory: Path) -> None:
    """A forbidden transition is refused, the history has actor and reason, and the list is paginated."""
    assert run("orders.py", directory) == [
        "in_fulfillment -> delivered is refused; allowed: refunded, shipped",
        "user:jane {'status': 'pending'} -> {'status': 'confirmed'} paid by card",
        "user:jane {'status': 'confirmed'} -> {'status': 'in_fulfillment'} ",
        "pending, newest first, in pages of 30 30 9",
    ]


def test_leads(directory: Path) -> None:
    """Repeated events count once, a reply changes the state of its lead, and each subject has its totals."""
    assert run("leads.py", directory) == [
        "frida@example.com reply open",
        "Subject 0 2 opened, 1 replied",
        "Subject 1 2 opened, 0 replied",
        "1 replied, 5 engagements",
    ]


def test_webhooks(directory: Path) -> None:
    """A crash leaves complete pages, the next run adds the rest, and further runs change nothing."""
    assert run("webhooks.py", directory) == [
        "crashed in its third page: payments and cents 400 79800",
        f"run to the end: payments and cents 1000 {sum(range(1000))}",
        "run again, and from the start: nothing changed",
    ]


@pytest.mark.parametrize("many", [6_000, pytest.param(600_000, marks=pytest.mark.long)])
def test_positions(many: int, directory: Path) -> None:
    """Trades and positions are saved together, and a position is the sum of its trades."""
    speed, position, newest, counted = run("positions.py", directory, str(many))
    assert re.fullmatch(rf"{many:,} trades and 500 positions in [\d.]+ s: [\d,]+ rows/s", speed)
    held = re.fullmatch(r"the position in SYM042: (-?\d+) at [\d.]+ by postgres\.select", position)
    assert held
    assert counted == f"all of them added up: {held[1]}"
    last = many - 418
    assert newest == f"its newest trades: {last} {last - 500} {last - 1000}"
    print(speed)
