"""The how-to pages run as written; their programs and commands run in forked processes, to save time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from storekit import Settings, Tls
from storekit.drivers.postgres.target import parse
from storekit.embedded import down
from tests.support.commands import install
from tests.support.stacks import Stacks

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs" / "howto"


def script(page: Path) -> str:
    """Build a shell script from the page: a Python block is written to the file that it names, and run."""
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
    """Run every block of a page in a directory, and return its output; it logs nothing."""
    printed, logged = run(page, directory)
    assert logged == "", printed
    return printed


def run(page: str, directory: Path) -> tuple[str, str]:
    """Run every block of a page in a directory, and return its output and what it logged."""
    install(directory / "bin")
    path = f"{directory / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        done = subprocess.run(
            ["sh", "-c", script(HOWTO / page)],
            cwd=directory,
            # without plugins, some of which print warnings about their settings
            env={"PATH": path, "HOME": str(directory), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    finally:
        down(directory / ".storekit")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("storekit up" in done.args[-1]) == done.stdout.endswith("the servers of .storekit have stopped\n")
    return done.stdout, done.stderr


def test_every_page_is_tested() -> None:
    """Every how-to page has a test in this file."""
    assert {page.name for page in HOWTO.iterdir()} == {
        "administer.md",
        "own-servers.md",
        "embedded-servers.md",
        "entities.md",
        "errors.md",
        "frameworks.md",
        "records.md",
        "testing.md",
    }


def test_the_page_on_own_servers_runs(tmp_path: Path) -> None:
    """From `storekit up` to `storekit down` every block of the page runs as written."""
    printed = follow("own-servers.md", tmp_path)
    assert "the stores are up to date" in printed
    assert len(re.findall(r"^[0-9A-Z]{26} Minutes$", printed, re.MULTILINE)) == 2


def test_the_page_on_administration_runs(tmp_path: Path) -> None:
    """A login is created, all stores are ok, no breach is found, and settings of containers are encoded."""
    printed = follow("administer.md", tmp_path)
    lines = printed.splitlines()
    assert "p%40ss%2Fw%3Ard" in lines
    for store in ("postgres 18", "mongo 8", "s3 SeaweedFS"):
        assert re.search(rf"^{store}.*: ok$", printed, re.MULTILINE), printed
    assert lines.count("no differences") == 2
    made = dict(re.findall(r"^export (\w+)='(.*)'$", printed, re.MULTILINE))
    example = (ROOT / "infra" / ".env.example").read_text().partition("# Settings for storekit")[2]
    shown = example.partition("prints these lines")[2]
    assert made.keys() == set(re.findall(r"\b(?:POSTGRES|MONGO|S3|AWS)_[A-Z_0-9]+\b", shown))
    assert Settings.from_env(made).to_env().items() >= made.items()
    admin = parse(made["POSTGRES_ADMIN_URL"], "POSTGRES_ADMIN_URL", Tls.REQUIRED)
    assert (admin["user"], admin["password"]) == ("storekit_admin", "p@ss/w:rd")


def test_the_page_on_embedded_servers_runs(tmp_path: Path) -> None:
    """The settings of an embedded store apply as the page says."""
    assert follow("embedded-servers.md", tmp_path) == ""


def test_the_page_on_entities_runs(tmp_path: Path, stacks: Stacks) -> None:
    """A class, a saved record, its history, a session and a report work as the page says."""
    stacks.prepare(tmp_path / ".storekit")
    printed = follow("entities.md", tmp_path).splitlines()
    assert "no differences" in printed
    for line in (
        "Pro",
        "pending -> shipped allowed: confirmed",
        "orders.created user:jane None",
        "orders.transitioned user:jane paid by card",
        "plans is global; store.admin(actor=...) writes it",
        "confirmed 1",
    ):
        assert line in printed
    assert any(re.match("SK410 .*pending", line) for line in printed)


def test_the_page_on_records_runs(tmp_path: Path, stacks: Stacks) -> None:
    """Filters, pages, relations, units of work, batches and cursors return what the page says."""
    stacks.prepare(tmp_path / ".storekit")
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
        "True False True",
        "1",
        "[('bulk-0', 12, 2), ('new', 1, 1)]",
        "1 ('slug',) 0",
        "['topic 0', 'topic 1']",
        "5 jobs done",
        "2 2 0",
        "1 4",
    ):
        assert line in printed, line


def test_the_page_on_testing_runs(tmp_path: Path) -> None:
    """The tests on the page pass, and its programs show content, costs and steps; each step may fail."""
    printed = follow("testing.md", tmp_path)
    assert re.search(r"^4 passed", printed, re.MULTILINE), printed
    assert "before s3.put #1" in printed.splitlines()
    assert (
        "200 text/markdown; charset=utf-8 attachment; filename=\"spring.md\" b'# Spring'\nTrue\n" in printed
    )
    assert "{'postgres.stage': 1, 'postgres.commit': 1, 'postgres.select': 1}" in printed


def test_the_page_on_errors_runs(tmp_path: Path) -> None:
    """A client gets status and fields without addresses, and the log has the address."""
    printed, logged = run("errors.md", tmp_path)
    assert re.search(r"^\(409, .*'fields': \['path'\], 'retry': False\}\)$", printed, re.MULTILINE), printed
    assert re.search(r"^\(422, .*'fields': \['path'\]", printed, re.MULTILINE)
    assert re.search(r"^503 .*; call again db:5432: connection refused$", printed, re.MULTILINE)
    assert logged.endswith("call again\ndb:5432: connection refused\n")


def test_the_page_on_frameworks_runs(tmp_path: Path) -> None:
    """A unit commits with the transaction of Django and of SQLAlchemy, and is undone with it."""
    printed = follow("frameworks.md", tmp_path)
    assert re.findall(r"^(?:in the transaction|committed): \D*(\d)", printed, re.MULTILINE) == [
        "1",
        "0",
        "1",
        "2",
        "2",
    ]
    assert "nothing would commit the unit; begin one: " in printed
