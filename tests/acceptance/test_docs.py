"""Every snippet and command of README and docs runs."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path

import pytest

from storekit.embedded import Stack
from tests.support.commands import python, storekit_command
from tests.support.stacks import Stacks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = ROOT / "docs" / "examples"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def run_python(source: str, directory: Path) -> str:
    script = directory / "snippet.py"
    script.write_text(source)
    done = python(script, home=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_runs(tmp_path: Path) -> None:
    """The README's blocks run unchanged: a URL's content, a document, a unit of work and two pages."""
    out = run_python("\n".join(blocks(ROOT / "README.md", "python")), tmp_path)
    assert r"b'# Found\n'" in out
    assert "query='x' hits=3" in out
    assert re.search(r"^\(25,\)\n20 5 query='y' hits=\d+$", out, re.MULTILINE)


def test_the_readmes_table_is_the_output_of_plan(tmp_path: Path) -> None:
    """The README's table of fields and stores is the output of `ToolCall.plan()`."""
    declaration = blocks(ROOT / "README.md", "python")[0].partition("with Store")[0]
    assert (
        run_python(declaration + "print(ToolCall.plan())", tmp_path) == blocks(ROOT / "README.md", "text")[0]
    )


def test_the_readmes_class_has_at_most_twelve_lines() -> None:
    """The declaration of a record in three stores has at most twelve lines."""
    block = blocks(ROOT / "README.md", "python")[0]
    declared = block[block.index("class Payload") : block.index("with Store")]
    assert len([line for line in declared.splitlines() if line.strip()]) <= 12


def test_the_quickstart_runs(tmp_path: Path, stacks: Stacks) -> None:
    """All blocks of the quickstart run, in order, as one program."""
    # The servers keep running between the blocks, which saves four starts.
    with Stack.start(stacks.prepare(tmp_path / "quickstart-data")):
        out = run_python("\n".join(blocks(ROOT / "docs" / "quickstart.md", "python")), tmp_path)
    assert "is not loaded" in out
    assert "the stored version is 2, but the save was based on 1" in out
    assert "tool_calls.deleted" in out
    assert "column budget is bigint, not text" in out
    assert "\n-- ALTER TABLE public.runs ALTER COLUMN budget TYPE text USING budget::text;\n" in out
    assert "\n0001_runs_tool_calls.sql 0002_runs.sql\n" in out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_docs_exist(page: Path) -> None:
    """Every make target, extra and storekit command in the docs exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shown = "\n".join(blocks(page, "sh"))
    assert set(re.findall(r"^make ([a-z-]+)", shown, re.MULTILINE)) <= targets
    for extras in re.findall(r"storekit\[([a-z,]+)\]", shown):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    for command in set(re.findall(r"^storekit ([a-z]+)", shown, re.MULTILINE)):
        done = storekit_command(command, "--help", environment=os.environ)
        assert done.returncode == 0, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_docs_exist(page: Path) -> None:
    """Every relative link points to an existing file."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("example", ["agent_service.py", "api_handler.py"])
def test_examples_have_at_most_forty_lines(example: str) -> None:
    """An example fits on a screen."""
    assert len((EXAMPLES / example).read_text().splitlines()) <= 40


def test_the_agent_service_saves_its_deliverable(tmp_path: Path, stacks: Stacks) -> None:
    """The example of an agent streams its output and prints what it saved."""
    done = python(EXAMPLES / "agent_service.py", stacks.prepare(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[0-9A-Z]{26} 34890 bytes\n", done.stdout)


_CLIENT = """
import asyncio, hashlib, sys, uuid
from urllib.request import urlopen
from storekit import Blob, Store
sys.path.insert(0, {examples!r})
import api_handler

async def get(path, tenant):
    sent = []
    async def receive():
        return {{"type": "http.request", "body": b"", "more_body": False}}
    async def send(message):
        sent.append(message)
    headers = [(b"tenant", str(tenant).encode())]
    scope = {{"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": headers,
             "query_string": b"", "scheme": "http", "server": ("localhost", 80), "http_version": "1.1"}}
    await api_handler.app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]).get(b"location", b"").decode()

async def main(tenant, path):
    async with api_handler.app.router.lifespan_context(api_handler.app):
        status, location = await get(path, tenant)
        print(status, hashlib.sha256(urlopen(location).read()).hexdigest())
        print((await get(path, uuid.uuid4()))[0], (await get("/reports/nonsense/body", tenant))[0])

tenant = uuid.uuid4()
with Store.embedded("data", entities=[api_handler.Report]) as store:
    reports = store.scope(tenant=tenant, actor="test").repository(api_handler.Report)
    report = reports.save(api_handler.Report(title="Q3", body=Blob(b"%PDF-1.7 ...")))
    asyncio.run(main(tenant, f"/reports/{{report.ref_id}}/body"))
"""


def test_the_api_handler_redirects_to_the_content_of_its_own_tenant_only(
    tmp_path: Path, stacks: Stacks
) -> None:
    """The example of an API returns a URL of the content, and 404 to another tenant."""
    stacks.prepare(tmp_path / "data")
    out = run_python(_CLIENT.format(examples=str(EXAMPLES)), tmp_path).split()
    assert out == ["307", hashlib.sha256(b"%PDF-1.7 ...").hexdigest(), "404", "404"]
