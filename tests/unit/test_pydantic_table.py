"""The page on pydantic's features, and the tests of its rows, agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "pydantic.md").read_text()
TESTS = "".join(file.read_text() for file in sorted(Path(__file__).parent.glob("test_pydantic_*.py")))


def test_each_row_has_a_test_and_each_test_its_row() -> None:
    """The rows of the tables are the names that the tests pass to row()."""
    rows = [line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines() if line.startswith("| ")]
    rows = [name for name in rows if name != "feature"]
    tested = re.findall(r"""^@row\((["'])(.+)\1\)$""", TESTS, re.MULTILINE)
    assert len(rows) == len({*rows}) > 30
    assert {name for _, name in tested} == {*rows}


def test_the_examples_of_the_page_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    """Each example runs, and prints what the comments after its print() calls say."""
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "pydantic.md", "exec"), {"__name__": "page"})
        said = re.findall(r"print\(.*\)  # (.+)$", block, re.MULTILINE)
        assert said
        assert capsys.readouterr().out.splitlines() == said
