"""SeaweedFS, the S3 server of an embedded stack."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from storekit.embedded import wheels
from storekit.embedded.certificate import certificate, client_context
from storekit.embedded.directory import Directory
from storekit.embedded.identity import PLAIN
from storekit.embedded.seaweedfs_files import write_files
from storekit.embedded.server import PROBE_TIMEOUT, Command, Runner

REGION = "us-east-1"
ACCESS_KEY = "s3_access_key"
SECRET_KEY = "s3_secret_key"  # noqa: S105  its name in the file of secrets
_IDENTITIES = "s3.json"
_SOCKET = "/tmp/seaweedfs-{}-grpc-{}.sock"  # noqa: S108
"""The program puts these sockets in /tmp, whatever TMPDIR says, and leaves them there after kill -9."""
_PARTS = ("admin", "master", "volume", "filer", "s3")

# No telemetry and no interface that storekit does not use. S3 is as strict as AWS: a PUT does not create a
# bucket, and only an empty bucket can be deleted. Volumes of 128 MB let a small disk hold many buckets.
_FLAGS = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
    "-s3.allowDeleteBucketNotEmpty=false",
    "-master.volumeSizeLimitMB=128",
    # Without it the log of the only master grows with each start, and after about 200 starts the first upload
    # of each start takes 13 to 19 s. The volume server reports everything that the master must know.
    "-master.resumeState=false",
    # With these two flags the server needs 1.2 s to stop, without them up to 30 s after parallel traffic.
    "-idleTimeout=1",
    "-volume.preStopSeconds=0",
    # Relative to the data directory, since the path of a Unix socket is limited to about 100 bytes.
    "-filer.localSocket=filer.sock",
    "-s3.localSocket=s3.sock",
)


def is_usable(port: int) -> bool:
    """Return whether a port has no socket of another user in /tmp, which the program could not replace."""
    for part in _PARTS:
        with suppress(FileNotFoundError):
            if os.lstat(_SOCKET.format(part, port)).st_uid != os.geteuid():
                return False
    return True


class SeaweedFS:
    """Master, volume, filer and S3 gateway in one process."""

    name = "s3"
    purposes: Sequence[str] = tuple(f"{part}{kind}" for part in _PARTS for kind in (".port", ".port.grpc"))

    def __init__(self, directory: Directory, secrets: Mapping[str, str]) -> None:
        self._directory = directory
        self._secrets = secrets
        self._data = directory.path / "s3"
        self._weed = wheels.weed()
        self._certificate = certificate(directory)
        self._context = client_context(self._certificate)

    def prepare(self, runner: Runner) -> None:
        """Write the S3 credentials file. Without it the server would accept requests from anyone."""
        keys = {"accessKey": self._secrets[ACCESS_KEY], "secretKey": self._secrets[SECRET_KEY]}
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "storekit", "credentials": [keys], "actions": rights}
        self._directory.write(_IDENTITIES, {"identities": [identity]})
        (self._data / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
        write_files(self._data, os.path.relpath(self._certificate, self._data))

    def command(self, ports: Mapping[str, int]) -> Command:
        """Return the command. HOME is the data directory, so that no other configuration file is read."""
        chosen = [f"-{purpose}={port}" for purpose, port in ports.items()]
        sockets = [_SOCKET.format(part, ports[f"{part}.port.grpc"]) for part in _PARTS]
        identities = f"-s3.config={self._directory.path / _IDENTITIES}"
        return Command(
            [str(self._weed), "-logtostderr=true", "mini", "-dir=.", identities, *_FLAGS, *chosen],
            self._data,
            signal.SIGTERM,
            PLAIN,
            # GOGC=50 and a soft limit keep it at about 200 MB; without them it takes 400 MB. With a limit of
            # 200 MB the garbage collector runs all the time, and each PUT takes twice as long.
            {
                "HOME": str(self._data),
                "TMPDIR": str(self._data / "tmp"),
                "GOMEMLIMIT": "400MiB",
                "GOGC": "50",
            },
            sockets,
        )

    def is_ready(self, ports: Mapping[str, int]) -> bool:
        """Check the health of the gateway, which starts last, and that the master can assign a location.

        A volume server that registers before the master has been elected tries again after 5 s. Until then no
        object can be stored, although the gateway reports that it is healthy.
        """
        gateway = HTTPConnection("127.0.0.1", ports["s3.port"], timeout=PROBE_TIMEOUT)
        if _get(gateway, "/healthz") is None:
            return False
        master = HTTPSConnection(
            "127.0.0.1", ports["master.port"], timeout=PROBE_TIMEOUT, context=self._context
        )
        return "fid" in json.loads(_get(master, "/dir/assign") or b"{}")


def _get(connection: HTTPConnection, path: str) -> bytes | None:
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == HTTPStatus.OK else None
