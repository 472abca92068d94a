"""Start the S3 server of an embedded stack alone, and time uploads."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from storekit.embedded import stack
from storekit.embedded.credentials import credentials
from storekit.embedded.directory import Directory
from storekit.embedded.owner import connect_or_start
from storekit.embedded.ports import Ports
from storekit.embedded.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY, SeaweedFS
from storekit.embedded.server import Runner

BUCKET = "storekit"


@contextmanager
def s3_server(home: Path) -> Iterator[Any]:
    """Start the S3 server of a directory, yield a client, and wait until the server has ended."""
    directory = Directory.claim(home)
    link = connect_or_start(directory)
    secrets = credentials(directory, stack._CREDENTIALS)
    try:
        Runner(directory, link, Ports(directory), secrets).start(SeaweedFS(directory, secrets))
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{Ports(directory).known('s3')['s3.port']}",
            region_name=REGION,
            aws_access_key_id=secrets[ACCESS_KEY],
            aws_secret_access_key=secrets[SECRET_KEY],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=100),
        )
        yield client
        client.close()
    finally:
        link.close()
    with open(home / "supervisor.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def upload_seconds(client: Any, key: str) -> float:
    """Upload a small object to the bucket, which is created if missing; return the seconds of the upload."""
    if not client.list_buckets()["Buckets"]:
        client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    begin = time.perf_counter()
    client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    return time.perf_counter() - begin
