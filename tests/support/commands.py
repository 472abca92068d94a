"""Run the `storekit` command in a process that is forked from one with all imports, to save time."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NoReturn

import rich.status  # noqa: F401  commands import this and the drivers below lazily

import storekit.drivers.mongo.control
import storekit.drivers.postgres.admin.catalog
import storekit.drivers.postgres.admin.runner
import storekit.drivers.s3.control  # noqa: F401
from storekit.cli import main
from tests.support.fork_server import ForkServer

_LONGEST = 60
"""Seconds after which a command is killed."""


def storekit_command(
    *arguments: str | Path, environment: Mapping[str, str], home: str | Path = "/"
) -> subprocess.CompletedProcess[str]:
    """Run a command with only this environment, by default in the root directory."""
    argv = ["storekit", *map(str, arguments)]
    with tempfile.TemporaryDirectory(prefix="sk-") as name:
        outputs = [Path(name) / stream for stream in ("stdout", "stderr")]
        code = _server().call(argv, dict(environment), str(home), *map(str, outputs))
        return subprocess.CompletedProcess(argv, code, *(path.read_text() for path in outputs))


@cache
def _server() -> ForkServer:
    server = ForkServer("tests.support.commands:run")
    atexit.register(server.close)
    return server


def run(argv: list[str], environment: dict[str, str], home: str, *outputs: str) -> NoReturn:
    """Run the command in this process, and exit without the slow shutdown of the interpreter."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    del sys.path[0]  # the directory of the fork server, which is not on the path of a user
    os.chdir(home)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    signal.alarm(_LONGEST)
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = traceback.format_exc()
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))
