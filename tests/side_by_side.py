"""Tests that mostly wait do it side by side; each is still a test, with an outcome of its own.

`side_by_side(threads)` marks a test that takes `tmp_path`, fixtures of the session or module, and parameters.
The first one of a module runs them all: none is under way while another test changes what all share.
"""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

_Done = dict[str, "Future[None]"]
_DONE = pytest.StashKey[_Done]()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Answer for the tests that are marked so."""
    mark = pyfuncitem.get_closest_marker("side_by_side")
    if mark is None:
        return None
    done = pyfuncitem.session.stash.setdefault(_DONE, {})
    if pyfuncitem.nodeid not in done:
        done |= _run_all(pyfuncitem, *mark.args)
    done.pop(pyfuncitem.nodeid).result()
    return True


def _run_all(first: pytest.Function, threads: int) -> _Done:
    group = [
        item
        for item in first.session.items
        if isinstance(item, pytest.Function)
        and item.path == first.path
        and item.get_closest_marker("side_by_side")
    ]
    with ThreadPoolExecutor(threads) as pool:
        return {item.nodeid: pool.submit(_run, item, _given(item, first._request)) for item in group}


def _given(item: pytest.Function, request: pytest.FixtureRequest) -> dict[str, object]:
    """Give what a test takes; any other fixture of one test alone would be that of `first`."""
    given = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    for name in item._fixtureinfo.argnames:
        if name == "tmp_path":
            given[name] = request.getfixturevalue("tmp_path_factory").mktemp(item.originalname[:30])
        elif name not in given:
            given[name] = request.getfixturevalue(name)
    return given


def _run(item: pytest.Function, given: dict[str, object]) -> None:
    called = getattr(item.module, item.originalname)(**given)
    if inspect.iscoroutine(called):
        asyncio.run(called)
