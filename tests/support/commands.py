"""`storekit` as a user runs it, in a process of its own, forked from a warm one that has imported it all.

Run as a script: an order is a line of JSON on stdin, the command's exit code a line on stdout.
"""

from __future__ import annotations

import atexit
import gc
import json
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

import rich.status  # noqa: F401  like the drivers below: what a command imports once it is needed

import storekit.drivers.mongo.control
import storekit.drivers.postgres.admin.catalog
import storekit.drivers.postgres.admin.migrate
import storekit.drivers.s3.control  # noqa: F401
from storekit.cli import main

_LONGEST = 60
"""Seconds until a command that hangs is ended."""


def storekit_command(
    *arguments: str | Path, environment: Mapping[str, str], home: str | Path = "/"
) -> subprocess.CompletedProcess[str]:
    """Run a command with this environment alone, by default from a directory of no meaning."""
    argv = ["storekit", *map(str, arguments)]
    with tempfile.TemporaryDirectory(prefix="sk-") as name:
        told = [Path(name) / stream for stream in ("stdout", "stderr")]
        code = _ask([argv, dict(environment), str(home), *map(str, told)])
        return subprocess.CompletedProcess(argv, code, *(path.read_text() for path in told))


def _ask(order: list[object]) -> int:
    warm = _warm()
    assert warm.stdin
    assert warm.stdout
    warm.stdin.write(json.dumps(order) + "\n")
    warm.stdin.flush()
    return int(warm.stdout.readline())


@cache
def _warm() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)
    return process


def _serve() -> None:
    gc.freeze()  # else each child copies what its first collection looks at
    del sys.path[0]  # the directory of this script, which a user does not have there
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(*json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(argv: list[str], environment: dict[str, str], home: str, *told: str) -> NoReturn:
    """Be the command from here on; its end leaves out that of the interpreter, which takes the longest."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in enumerate(told, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
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


if __name__ == "__main__":
    _serve()
