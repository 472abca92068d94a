"""The delay proxy as a separate process, so that it uses neither the client's CPU time nor its GIL.

python -m tests.bench.proxy HOST PORT SECONDS

prints the port that it listens on, and ends when its standard input is closed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.proxy import Proxy


@contextmanager
def delayed(host: str, port: int, delay: float) -> Iterator[int]:
    """Run a proxy that adds `delay` seconds to each round trip, and return its port."""
    command = [sys.executable, "-m", "tests.bench.proxy", host, str(port), str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def _serve(host: str, port: int, delay: float) -> None:
    with Proxy(host, port, delay=delay) as proxy:
        print(proxy.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
