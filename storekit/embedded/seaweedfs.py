"""SeaweedFS, the S3 server of an embedded stack."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Mapping, Sequence

from storekit.embedded import wheels
from storekit.embedded.directory import Directory
from storekit.embedded.identity import PLAIN
from storekit.embedded.server import PROBE_TIMEOUT, Command, Runner

REGION = "us-east-1"
ACCESS_KEY = "s3_access_key"
SECRET_KEY = "s3_secret_key"  # noqa: S105  its name in the file of secrets
_IDENTITIES = "s3.json"
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
    # With these two flags the server needs 1.2 s to stop, without them up to 30 s after parallel traffic.
    "-idleTimeout=1",
    "-volume.preStopSeconds=0",
    # Relative to the data directory, since the path of a Unix socket is limited to about 100 bytes.
    "-filer.localSocket=filer.sock",
    "-s3.localSocket=s3.sock",
)


class SeaweedFS:
    """Master, volume, filer and S3 gateway in one process."""

    name = "s3"
    purposes: Sequence[str] = tuple(f"{part}{kind}" for part in _PARTS for kind in (".port", ".port.grpc"))

    def __init__(self, directory: Directory, secrets: Mapping[str, str]) -> None:
        self._directory = directory
        self._secrets = secrets
        self._data = directory.path / "s3"
        self._weed = wheels.weed()

    def prepare(self, runner: Runner) -> None:
        """Write the S3 credentials file. Without it the server would accept requests from anyone."""
        keys = {"accessKey": self._secrets[ACCESS_KEY], "secretKey": self._secrets[SECRET_KEY]}
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "storekit", "credentials": [keys], "actions": rights}
        self._directory.write(_IDENTITIES, {"identities": [identity]})
        (self._data / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self, ports: Mapping[str, int]) -> Command:
        """Return the command. HOME is the data directory, so that no other configuration file is read."""
        chosen = [f"-{purpose}={port}" for purpose, port in ports.items()]
        # The program puts these sockets in /tmp, whatever TMPDIR says, and leaves them there after kill -9.
        grpc_ports = {part: ports[f"{part}.port.grpc"] for part in _PARTS}
        sockets = [f"/tmp/seaweedfs-{part}-grpc-{port}.sock" for part, port in grpc_ports.items()]  # noqa: S108
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
        """Check the health of the gateway, which starts last, and that the master knows its volumes.

        A volume server that registers before the master has been elected tries again after 5 s. Until then no
        object can be stored, although the gateway reports that it is healthy.
        """
        if _get(ports["s3.port"], "/healthz") is None:
            return False
        topology = json.loads(_get(ports["master.port"], "/dir/status") or b"{}").get("Topology", {})
        return bool(topology.get("Max"))


def _get(port: int, path: str) -> bytes | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == http.HTTPStatus.OK else None
