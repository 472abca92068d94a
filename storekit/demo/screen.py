"""What the demo says: colour and a spinner on a terminal, the same lines without them in a pipe."""

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
        """Say what is being done, while it is done and how long it took."""
        self._chapters += 1
        self._console.print(f"\n{self._chapters}. {title}", style="bold")
        begun = time.monotonic()
        with self._console.status(title):
            yield
        self._console.print(f"   {time.monotonic() - begun:.1f} s", style="dim")

    def say(self, text: str) -> None:
        """Tell a fact."""
        self._console.print(f"   {text}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Tell facts in columns."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._console.print(f"     {'  '.join(cells).rstrip()}")

    def proven(self, text: str) -> None:
        """Tell what was checked and found right."""
        self._console.print(f"   ok: {text}", style="green")

    def end(self, text: str) -> None:
        """Tell the outcome of it all."""
        self._console.print(f"\n{text}", style="bold green")
