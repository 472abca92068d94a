"""Lines that tests add to the summary of the run, with or without workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

_LINES = pytest.StashKey[list[str]]()


def lines(config: pytest.Config) -> list[str]:
    """Return the lines of this process."""
    return config.stash.setdefault(_LINES, [])


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return a function that adds a line to the summary of the run."""
    return lines(pytestconfig).append


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the lines of a worker to the main process."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["summary"] = lines(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the lines of a worker that has ended."""
    lines(node.config).extend(getattr(node, "workeroutput", {}).get("summary", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines."""
    if found := lines(terminalreporter.config):
        terminalreporter.section("figures")
        for line in found:
            terminalreporter.write_line(line)
