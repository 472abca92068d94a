"""The pages on how to, followed to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from storekit.embedded import down

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs" / "howto"


def script(page: Path) -> str:
    """Make one shell script of the page: a Python block is the file that its first line names, and is run."""
    steps = ["set -eu"]
    for language, block in re.findall(
        r"^```(sh|python)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        if language == "python":
            name = re.findall(r"\A# (\w+\.py)\n", block)[0]
            steps.append(f"cat > {name} <<'EOF'\n{block}EOF\npython {name}\n")
        else:
            steps.append(block)
    return "\n".join(steps)


def follow(page: str, directory: Path) -> str:
    """Run every block of a page in a directory, and answer what it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        done = subprocess.run(
            ["sh", "-c", script(HOWTO / page)],
            cwd=directory,
            env={"PATH": path, "HOME": str(directory)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    finally:
        down(directory / ".storekit")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("the servers of .storekit have stopped\n")
    return done.stdout


def test_every_page_is_followed() -> None:
    """No page on how to is left out here."""
    assert {page.name for page in HOWTO.iterdir()} == {"own-servers.md", "entities.md", "records.md"}


def test_the_page_on_own_servers_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """From `storekit up` to `storekit down` every block of the page works as it stands."""
    printed = follow("own-servers.md", tmp_path)
    assert "the stores are up to date" in printed
    assert len(re.findall(r"^[0-9A-Z]{26} Minutes$", printed, re.MULTILINE)) == 2


def test_the_page_on_entities_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """From a class to a saved record, its history, a session and a report, as the page says."""
    printed = follow("entities.md", tmp_path).splitlines()
    assert "no difference" in printed
    for line in (
        "Pro",
        "pending -> shipped allowed: confirmed",
        "orders.created user:jane None",
        "orders.transitioned user:jane paid by card",
        "plans is global; store.admin(actor=...) writes it",
        "confirmed 1",
    ):
        assert line in printed


def test_the_page_on_records_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """Filters, pages, relations, units of work, batches and cursors give what the page says."""
    printed = follow("records.md", tmp_path).splitlines()
    for line in (
        "['post-5', 'post-3', 'post-1']",
        "40 {'by': 'jane'}",
        "[9800, 9600, 9400]",
        "Post: no index has the order 'words' with these filters; declare indexes=[index('words')], "
        "or pass unindexed=True to read and sort all matching records",
        "after: it is not a cursor of this query; pass a page's .next "
        "with the same tenant, filters and order",
        "b'# Spring\\n'",
        "1 1",
        "(2,)",
        "[('c-1', 2), ('c-2', 2), ('c-3', 1)]",
        "[('bulk-0', 12, 2), ('new', 1, 1)]",
        "1 ('slug',) 0",
        "2 2 0",
        "1 4",
    ):
        assert line in printed, line
