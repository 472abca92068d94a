"""The output of the demo: with colour and a spinner on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console


class Screen:
    """Lines of text, in numbered chapters."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self._chapters = 0

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Print a title, show a spinner during the block, and print how long it took."""
        self._chapters += 1
        self._console.print(f"\n{self._chapters}. {title}", style="bold")
        begun = time.monotonic()
        with self._console.status(title):
            yield
        self._console.print(f"   {time.monotonic() - begun:.1f} s", style="dim")

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(f"   {text}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows in columns."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._console.print(f"     {'  '.join(cells).rstrip()}")

    def proven(self, text: str) -> None:
        """Print a successful check."""
        self._console.print(f"   ok: {text}", style="green")

    def end(self, text: str) -> None:
        """Print the result of the demo."""
        self._console.print(f"\n{text}", style="bold green")
