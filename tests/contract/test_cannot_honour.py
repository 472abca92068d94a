"""The list of tests that moto and mongomock cannot pass is up to date."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.contract.cannot_honour import CANNOT_HONOUR


def test_each_entry_names_a_test_and_a_reason() -> None:
    """Each entry of the list names an existing test and has a reason."""
    trees = [ast.parse(path.read_text()) for path in Path(__file__).parent.glob("test_*.py")]
    cases = {node.name for tree in trees for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    assert CANNOT_HONOUR.keys() <= cases
    assert all(CANNOT_HONOUR.values())
