"""The parts of the demo that need no servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from storekit.demo.inputs import documents
from storekit.demo.servers import expect
from storekit.errors import Corrupt, UsageError


def test_input_is_every_matching_file(tmp_path: Path) -> None:
    """Every *.md and *.pdf under the directory is input, in upper or lower case; hidden files are not."""
    for name in ("b.md", "sub/a.MD", "sub/deep/c.pdf", "notes.txt", ".hidden.md", ".git/d.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = documents(tmp_path)
    assert [each.name for each in found] == ["b.md", "sub/a.MD", "sub/deep/c.pdf"]
    assert [each.is_contract for each in found] == [False, False, True]
    assert [each.read().decode() for each in found] == [each.name for each in found]


def test_the_default_input_is_the_readme_and_a_contract() -> None:
    """Without --files the demo saves storekit's README and a PDF, in a checkout and from a wheel."""
    readme, contract = documents(None)
    assert (readme.name, readme.is_contract, contract.is_contract) == ("README.md", False, True)
    assert readme.read().startswith(b"# storekit")
    assert contract.read().startswith(b"%PDF-")


def test_a_directory_without_input_is_refused(tmp_path: Path) -> None:
    """A directory without input raises UsageError with the name of the option."""
    with pytest.raises(UsageError, match="--files"):
        documents(tmp_path)


def test_a_difference_is_corruption() -> None:
    """A comparison that fails raises `Corrupt` with the expected and the actual value."""
    expect("hash", "a", "a")
    with pytest.raises(Corrupt, match="hash: expected a, found b"):
        expect("hash", "a", "b")
