"""A SeaweedFS of its own for tests: started on free ports, stopped and forgotten afterwards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep

from pydantic import SecretStr

from storekit.settings import Settings

_WEED = Path(sys.executable).with_name("weed")
_OFF = (
    "webdav",
    "admin.ui",
    "s3.iam",
    "master.telemetry",
    "s3.autoCreateBucket",
    "s3.allowDeleteBucketNotEmpty",
)
_FLAGS = [f"-{name}=false" for name in _OFF] + [
    "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0",
    "-master.volumeSizeLimitMB=128", "-idleTimeout=1", "-volume.preStopSeconds=0",
]  # fmt: skip
_ROLES = ("s3", "admin", "master", "volume", "filer")
_PORTS = [f"{role}.port{kind}" for kind in ("", ".grpc") for role in _ROLES]


@contextmanager
def fresh_s3() -> Iterator[Settings]:
    """Start an empty S3 server and give the settings of an administrator; the bucket is not made yet."""
    with tempfile.TemporaryDirectory(prefix="s3-") as scratch:
        home, ports = Path(scratch), _free_ports(len(_PORTS))
        key, secret = secrets.token_hex(8), secrets.token_hex(16)
        with _weed(home, ports, _identity(home, key, secret)):
            _await_answer(ports[0])
            yield Settings(
                s3_endpoint_url=f"http://127.0.0.1:{ports[0]}",
                s3_bucket="records",
                s3_access_key=key,
                s3_secret_key=SecretStr(secret),
            )


@contextmanager
def _weed(home: Path, ports: list[int], identity: Path) -> Iterator[None]:
    (home / "data").mkdir()
    options = [f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)]
    sockets = [f"-{name}.localSocket={home / name}.sock" for name in ("filer", "s3")]
    command = [_WEED, "mini", f"-dir={home / 'data'}", f"-s3.config={identity}", *_FLAGS, *options, *sockets]
    limits = {"TMPDIR": str(home), "GOMEMLIMIT": "200MiB", "GOGC": "50"}
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | limits, stdout=log, stderr=log)
    try:
        yield
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(home / "data", ignore_errors=True)


def _identity(home: Path, key: str, secret: str) -> Path:
    path = home / "identities.json"
    credentials = [{"accessKey": key, "secretKey": secret}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    path.write_text(
        json.dumps({"identities": [{"name": "a", "credentials": credentials, "actions": actions}]})
    )
    return path


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [taken.getsockname()[1] for taken in sockets]


def _await_answer(port: int) -> None:
    deadline = monotonic() + 30
    while not _answers(port):
        if monotonic() > deadline:
            raise RuntimeError("the S3 server did not answer within 30 s")
        sleep(0.05)


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
