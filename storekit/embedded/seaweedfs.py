"""SeaweedFS as the S3 server of an embedded stack."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Mapping, Sequence

from storekit.embedded import wheels
from storekit.embedded.directory import Home
from storekit.embedded.identity import PLAIN
from storekit.embedded.server import Command, Runner

REGION = "us-east-1"
ACCESS_KEY = "s3_access_key"
SECRET_KEY = "s3_secret_key"  # noqa: S105  its name in the file of secrets
_IDENTITIES = "s3.json"
_PARTS = ("admin", "master", "volume", "filer", "s3")

# Telemetry off; no interface that nobody needs; S3 as strict as AWS (no buckets made or emptied in passing);
# quick to end. Volumes of 128 MB let a small disk hold many buckets.
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
    "-idleTimeout=1",
    "-volume.preStopSeconds=0",
    # Relative to the data directory: a Unix socket's path must be short.
    "-filer.localSocket=filer.sock",
    "-s3.localSocket=s3.sock",
)


class SeaweedFS:
    """Master, volume, filer and S3 gateway in one process."""

    name = "s3"
    purposes: Sequence[str] = tuple(f"{part}{kind}" for part in _PARTS for kind in (".port", ".port.grpc"))

    def __init__(self, home: Home, secrets: Mapping[str, str]) -> None:
        self._home = home
        self._secrets = secrets
        self._data = home.path / "s3"
        self._weed = wheels.weed()

    def prepare(self, runner: Runner) -> None:
        """Write who may come: without this file the server is open to anybody."""
        keys = {"accessKey": self._secrets[ACCESS_KEY], "secretKey": self._secrets[SECRET_KEY]}
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "storekit", "credentials": [keys], "actions": rights}
        self._home.write(_IDENTITIES, {"identities": [identity]})
        (self._data / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self, ports: Mapping[str, int]) -> Command:
        """Run in its data directory, which is its home too: no configuration from elsewhere."""
        chosen = [f"-{purpose}={port}" for purpose, port in ports.items()]
        identities = f"-s3.config={self._home.path / _IDENTITIES}"
        return Command(
            [str(self._weed), "-logtostderr=true", "mini", "-dir=.", identities, *_FLAGS, *chosen],
            self._data,
            signal.SIGTERM,
            PLAIN,
            # A soft limit and an eager collector hold it at about 200 MB; without them it takes 400. A limit
            # of half as much makes it collect without end: each PUT then takes twice as long.
            {
                "HOME": str(self._data),
                "TMPDIR": str(self._data / "tmp"),
                "GOMEMLIMIT": "400MiB",
                "GOGC": "50",
            },
            [f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part}.port.grpc']}.sock" for part in _PARTS],  # noqa: S108
        )

    def answers(self, ports: Mapping[str, int]) -> bool:
        """Ask the gateway, which comes up last, for its health, and the master whether it has its volumes.

        A volume server that reports before the master leads tries again after 5 s; until then no object is
        found, though the gateway calls itself healthy.
        """
        if _get(ports["s3.port"], "/healthz") is None:
            return False
        topology = json.loads(_get(ports["master.port"], "/dir/status") or b"{}").get("Topology", {})
        return bool(topology.get("Max"))


def _get(port: int, path: str) -> bytes | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if answer.status == http.HTTPStatus.OK else None
