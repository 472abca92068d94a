"""Run Python programs and the `storekit` command in processes that are forked from one with all imports.

An interpreter of its own would spend most of its time on imports.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NoReturn

import boto3  # noqa: F401  programs and commands import this and the modules below lazily
import rich.status  # noqa: F401

import storekit.drivers.mongo.control
import storekit.drivers.mongo.documents
import storekit.drivers.postgres.admin.catalog
import storekit.drivers.postgres.admin.runner
import storekit.drivers.postgres.ledger
import storekit.drivers.s3.blobs
import storekit.drivers.s3.control  # noqa: F401
from storekit.cli import main
from tests.support.fork_server import ForkServer

_LONGEST = 600
"""Seconds after which a program is killed."""
# Sends the arguments, the environment, the directory and the streams of a command to the fork server.
_COMMAND = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
task = [[os.path.basename(sys.argv[0]), *sys.argv[1:]], dict(os.environ), os.getcwd()]
socket.send_fds(server, [json.dumps(task).encode() + b"\\n"], [0, 1, 2])
code = int(server.recv(16))
sys.exit(code if code >= 0 else 128 - code)
"""


def storekit_command(
    *arguments: str | Path, environment: Mapping[str, str], home: str | Path = "/"
) -> subprocess.CompletedProcess[str]:
    """Run a `storekit` command with only this environment, by default in the root directory."""
    return _run("storekit", *arguments, environment=environment, home=home)


def python(
    *arguments: str | Path, environment: Mapping[str, str] = os.environ, home: str | Path = "/"
) -> subprocess.CompletedProcess[str]:
    """Run a Python program: its path and arguments."""
    return _run("python", *arguments, environment=environment, home=home)


def _run(
    *argv: str | Path, environment: Mapping[str, str], home: str | Path
) -> subprocess.CompletedProcess[str]:
    words = [*map(str, argv)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error, open(os.devnull) as none:
        streams = [none.fileno(), out.fileno(), error.fileno()]
        code = _server().call(words, dict(environment), str(home), streams=streams)
        out.seek(0)
        error.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), error.read())


def install(directory: Path) -> None:
    """Write the commands `python` and `storekit` to a directory that a shell has in its PATH."""
    directory.mkdir()
    for name in ("python", "storekit"):
        command = directory / name
        command.write_text(_COMMAND.format(python=sys.executable, path=str(_server().path)))
        command.chmod(0o755)


@cache
def _server() -> ForkServer:
    server = ForkServer("tests.support.commands:run")
    atexit.register(server.close)
    return server


def run(argv: list[str], environment: dict[str, str], home: str) -> NoReturn:
    """Run a program in this process, and exit without the slow shutdown of the interpreter."""
    del sys.path[0]  # the directory of the fork server, which is not on the path of a user
    os.chdir(home)
    os.environ.clear()
    os.environ.update(environment)
    signal.alarm(_LONGEST)
    code: object = 0
    try:
        if argv[0] == "storekit":
            sys.argv = argv
            main()
        else:
            sys.argv = argv[1:]
            sys.path.insert(0, str(Path(argv[1]).resolve().parent))
            runpy.run_path(argv[1], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = traceback.format_exc()
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))
