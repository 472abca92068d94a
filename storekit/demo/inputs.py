"""The demo's input: Markdown becomes outputs and posts, PDF becomes contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from storekit.demo.pdf import pdf
from storekit.errors import UsageError

_ARTICLE, _CONTRACT = ".md", ".pdf"


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the input, or its bytes."""

    name: str
    content: Path | bytes

    @property
    def is_contract(self) -> bool:
        return self.name.lower().endswith(_CONTRACT)

    def read(self) -> bytes:
        """Read it anew: what storekit gives back is compared with this."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def sha256(self) -> str:
        return hashlib.sha256(self.read()).hexdigest()


def documents(directory: Path | None) -> list[Document]:
    """Find every Markdown and PDF file under a directory; by default storekit's own documentation.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    if directory is None:
        return [*_own(), Document("agreement.pdf", _agreement())]
    found = list(_under(directory, sorted(directory.rglob("*"))))
    if not found:
        raise UsageError(f"{directory} holds no *{_ARTICLE} and no *{_CONTRACT}; name another with --files")
    for each in found:
        _check_readable(each)
    return found


def _check_readable(document: Document) -> None:
    if isinstance(document.content, bytes):
        return
    try:
        with document.content.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise UsageError(
            f"{document.content} cannot be read: {error.strerror}; mend it, or name others with --files"
        ) from error


def _own() -> Iterator[Document]:
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").exists():
        yield from _under(checkout, sorted([*checkout.glob("*.md"), *checkout.glob("docs/**/*.md")]))
        return
    shipped = package_files("storekit.demo") / "files"
    for file in shipped.iterdir():
        yield Document(file.name, file.read_bytes())


def _under(root: Path, paths: Iterable[Path]) -> Iterator[Document]:
    for path in paths:
        name = path.relative_to(root)
        hidden = any(piece.startswith(".") for piece in name.parts)
        if path.suffix.lower() in (_ARTICLE, _CONTRACT) and path.is_file() and not hidden:
            yield Document(str(name), path)


def _agreement() -> bytes:
    return pdf("Services agreement", ["The agency delivers.", "The client pays.", "Both keep a copy."])
