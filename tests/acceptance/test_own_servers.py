"""The page on servers of one's own, followed to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from storekit.drivers.embedded import down

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "own-servers.md"


def script() -> str:
    """Make one shell script of the page: a Python block is the file that its first line names, and is run."""
    steps = ["set -eu"]
    for language, block in re.findall(
        r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    ):
        if language == "python":
            name = re.findall(r"\A# (\w+\.py)\n", block)[0]
            steps.append(f"cat > {name} <<'EOF'\n{block}EOF\npython {name}\n")
        else:
            steps.append(block)
    return "\n".join(steps)


def test_the_page_on_own_servers_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """From `storekit up` to `storekit down` every block of the page works as it stands."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        done = subprocess.run(
            ["sh", "-c", script()],
            cwd=tmp_path,
            env={"PATH": path, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    finally:
        down(tmp_path / ".storekit")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the stores are up to date" in done.stdout
    assert len(re.findall(r"^[0-9A-Z]{26} Minutes$", done.stdout, re.MULTILINE)) == 2
    assert done.stdout.endswith("the servers of .storekit have ended\n")
