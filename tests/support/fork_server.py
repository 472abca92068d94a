"""A fork server: a process with all imports that forks a child for each task, to save the time of imports.

Run as `python -m tests.support.fork_server MODULE:FUNCTION LISTENER`, with the descriptor of a listening Unix
socket. A task is a connection: a line of JSON, the list of the function's arguments, optionally with the
descriptors of stdin, stdout and stderr. The reply is a line with the child's exit code (-9: killed).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).parents[2]


class ForkServer:
    """Runs each call of one function in a new process."""

    def __init__(self, function: str, environment: Mapping[str, str] = os.environ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="sk-")
        self.path = Path(self._directory.name) / "socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", function, str(listener.fileno())],
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
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
        self._directory.cleanup()

    def call(self, *arguments: Any, streams: Sequence[int] = ()) -> int:
        """Run the function in a new process, by default with the server's streams; return its exit code."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.path))
            socket.send_fds(connection, [json.dumps(arguments).encode() + b"\n"], streams)
            return int(connection.recv(16))


def _serve(function: Callable[..., None], listener: socket.socket) -> None:
    gc.freeze()  # otherwise the first collection in a child would copy every page
    children = 0
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
        assert ready == [listener]
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            os._exit(_handle(function, connection))
        connection.close()
        children += 1
        while children and os.waitpid(-1, os.WNOHANG) != (0, 0):
            children -= 1


def _handle(function: Callable[..., None], connection: socket.socket) -> int:
    """Run one task in a child, and send its exit code."""
    task, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not task.endswith(b"\n"):
        task += connection.recv(1 << 20)
    child = os.fork()
    if not child:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        try:
            function(*json.loads(task))
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    return 0


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    _serve(getattr(importlib.import_module(module), name), socket.socket(fileno=int(sys.argv[2])))
