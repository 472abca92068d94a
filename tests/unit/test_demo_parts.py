"""The demo's own parts, without servers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from storekit.demo.expect import expect
from storekit.demo.inputs import documents
from storekit.demo.pdf import pdf
from storekit.errors import Corrupt, UsageError


def test_pdf_offsets_point_at_their_objects() -> None:
    """The generated PDF is valid: its table of references finds every object, its trailer the table."""
    body = pdf("A (very) small\\page", ["first", "second"])
    table = int(re.findall(rb"startxref\n(\d+)\n%%EOF\n\Z", body)[0])
    assert body[table:].startswith(b"xref\n0 6\n")
    offsets = [int(found) for found in re.findall(rb"(\d{10}) 00000 n \n", body)]
    assert [body[at:].split(b" ", 1)[0] for at in offsets] == [b"1", b"2", b"3", b"4", b"5"]
    length, text = re.findall(rb"/Length (\d+) >>\nstream\n(.*)\nendstream", body, re.DOTALL)[0]
    assert len(text) == int(length)
    assert rb"(A \(very\) small\\page) Tj" in text


def test_input_is_every_matching_file(tmp_path: Path) -> None:
    """Every *.md and *.pdf under the directory is input, in any case of letters; no hidden file is."""
    for name in ("b.md", "sub/a.MD", "sub/deep/c.pdf", "notes.txt", ".hidden.md", ".git/d.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = documents(tmp_path)
    assert [each.name for each in found] == ["b.md", "sub/a.MD", "sub/deep/c.pdf"]
    assert [each.is_contract for each in found] == [False, False, True]
    assert [each.read().decode() for each in found] == [each.name for each in found]


def test_default_input_is_the_documentation_and_a_contract() -> None:
    """Without --files the project's own documentation is saved, and a PDF."""
    found = documents(None)
    assert "README.md" in [each.name for each in found]
    assert found[-1].is_contract
    assert found[-1].read().startswith(b"%PDF-")


def test_no_input_is_refused(tmp_path: Path) -> None:
    """A directory without input is a usage error that names the option."""
    with pytest.raises(UsageError, match="--files"):
        documents(tmp_path)


def test_a_difference_is_corruption() -> None:
    """A comparison that fails is `Corrupt`, with what was expected and what was found."""
    expect("hash", "a", "a")
    with pytest.raises(Corrupt, match="hash: expected a, found b"):
        expect("hash", "a", "b")
