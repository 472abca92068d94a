"""The input of the demo: Markdown files become outputs and posts, PDF files become contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path

from storekit.errors import UsageError

_ARTICLE, _CONTRACT = ".md", ".pdf"
# One empty A4 page. PDF readers rebuild the cross-reference table, which is left out.
_AGREEMENT = b"""%PDF-1.4
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >> endobj
trailer << /Size 4 /Root 1 0 R >>
%%EOF
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One input: a file, or its bytes."""

    name: str
    content: Path | bytes

    @property
    def is_contract(self) -> bool:
        return self.name.lower().endswith(_CONTRACT)

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def sha256(self) -> str:
        return hashlib.sha256(self.read()).hexdigest()


def documents(directory: Path | None) -> list[Document]:
    """Return every Markdown and PDF file under a directory; the default is storekit's README and a contract.

    Raises:
        UsageError: there is no such file, or one cannot be read.
    """
    if directory is None:
        # the description of a wheel is the README
        readme = metadata("storekit")["Description"]
        return [Document("README.md", readme.encode()), Document("agreement.pdf", _AGREEMENT)]
    found = list(_under(directory))
    if not found:
        raise UsageError(
            f"{directory} contains no *{_ARTICLE} and no *{_CONTRACT}; choose another directory with --files"
        )
    return found


def _under(directory: Path) -> Iterator[Document]:
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        hidden = any(piece.startswith(".") for piece in name.parts)
        if path.suffix.lower() in (_ARTICLE, _CONTRACT) and path.is_file() and not hidden:
            try:
                with path.open("rb") as file:
                    file.read(1)
            except OSError as error:
                raise UsageError(
                    f"{path} cannot be read: {error.strerror}; choose another directory with --files"
                ) from error
            yield Document(str(name), path)
