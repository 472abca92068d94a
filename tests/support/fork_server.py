"""A fork server: a process with all imports that forks a child for each task, to save the time of imports.

Run as `python -m tests.support.fork_server MODULE:FUNCTION`: a task is a line of JSON on stdin, the list of
the function's arguments; the child's exit code (-9: killed) is written as a line to stdout.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).parents[2]


class ForkServer:
    """Runs each call of one function in a new process."""

    def __init__(self, function: str, environment: Mapping[str, str] = os.environ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", function],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server. Its children have ended already."""
        self._process.communicate()

    def call(self, *arguments: Any) -> int:
        """Run the function in a new process and return its exit code."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _serve(function: Callable[..., None]) -> None:
    gc.freeze()  # otherwise the first collection in a child would copy every page
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                function(*json.loads(line))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    _serve(getattr(importlib.import_module(module), name))
