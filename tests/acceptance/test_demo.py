"""`storekit demo`, run as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storekit.embedded import status
from tests.support.stacks import Stacks

ROOT = Path(__file__).parents[2]
DEMO = "from storekit.cli import main; main()"
# Changes one byte of every content that is fetched by URL.
TAMPERED = """
import urllib.request

honest = urllib.request.urlopen

def tampering(url, timeout):
    response = honest(url, timeout=timeout)
    read = response.read
    response.read = lambda size: bytes([*(body := read(size))[:-1], body[-1] ^ 1]) if response.length else b""
    return response

if __name__ == "__main__":
    urllib.request.urlopen = tampering
"""


def demo(
    home: Path, *arguments: str | Path, first: str = "", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    script = home / "storekit_demo.py"
    script.write_text(f"{first}\nif __name__ == '__main__':\n    from storekit.cli import main\n    main()\n")
    return subprocess.run(
        [sys.executable, script, "demo", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(home), "PYTHONPATH": str(ROOT)},
        timeout=120,
    )


@contextmanager
def temporary() -> Iterator[Path]:
    """Give the demo a temporary directory of its own, so that the test can check it afterwards."""
    with tempfile.TemporaryDirectory(prefix="sk-", dir="/tmp") as name:
        yield Path(name)


def processes_in(directory: Path) -> list[str]:
    """Return every process whose command line contains the directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(directory) in command:
            found.append(command)
    return found


def test_the_demo_passes_and_cleans_up(tmp_path: Path) -> None:
    """On every file of a directory the demo passes all its checks, and leaves no process and no file."""
    (tmp_path / "one.md").write_text("# Één ✨\n\n日本語\n")
    (tmp_path / "two.md").write_bytes(b"")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4\n" + bytes(range(256)) * 4096)
    with temporary() as home:
        done = demo(home, "--files", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in home.iterdir()] == ["storekit_demo.py"]
        assert not processes_in(home)
    lines = done.stdout.splitlines()
    assert lines[-1] == "every promise was kept"
    assert sum(line.startswith("   ok: ") for line in lines) == 5
    assert re.search(
        r"^ +payload +MongoDB +tool_call_logs .*expires \d{4}-\d\d-\d\d$", done.stdout, re.MULTILINE
    )
    assert "\x1b" not in done.stdout


def test_tampered_content_fails_the_demo(tmp_path: Path, stacks: Stacks) -> None:
    """If one byte of a fetched content is changed, the demo prints one line, exits with 1 and cleans up."""
    (tmp_path / "one.md").write_text("# One\n")
    with temporary() as home:
        stacks.prepare(home / "kept")
        done = demo(home, "--files", tmp_path, "--dir", home / "kept", first=TAMPERED)
        assert done.returncode == 1
        assert not any(server.running for server in status(home / "kept"))
        assert (home / "kept" / "secrets.json").exists()
    assert re.fullmatch(
        r"storekit: the URL of one\.md: expected sha256 \w{64}, found sha256 \w{64}\n", done.stderr
    )


def test_a_missing_input_is_one_line(tmp_path: Path) -> None:
    """A missing input is refused before any server starts."""
    with temporary() as home:
        done = demo(home, "--files", tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"storekit: .* contains no \*\.md and no \*\.pdf; .*\n", done.stderr)
    assert done.stdout == ""
