"""A stack that has been started often. `tests/faults/test_embedded_age.py` starts one 300 times."""

from __future__ import annotations

from pathlib import Path

from storekit.embedded.directory import Directory
from storekit.embedded.ports import Ports
from tests.integration.old_raft import plant
from tests.support.s3_stack import BUCKET, s3_server, upload_seconds

QUICK = 5.0
"""Seconds; with an old log an upload took 13 to 19 s, and without one 0.02 to 0.3 s."""


def test_the_first_upload_of_an_old_directory(tmp_path: Path) -> None:
    """The first upload in a directory that has been started often is fast, and everything is still there."""
    home = tmp_path / "stack"
    with s3_server(home) as s3:
        upload_seconds(s3, "first")
    ports = Ports(Directory(home)).known("s3")
    plant(home / "s3", ports["master.port"], ports["master.port.grpc"])
    for key in ("second", "third"):
        with s3_server(home) as s3:
            assert Ports(Directory(home)).known("s3") == ports
            assert upload_seconds(s3, key) < QUICK
            assert s3.get_object(Bucket=BUCKET, Key="first")["Body"].read() == b"first"


def test_no_file_of_the_server_grows_with_its_starts(tmp_path: Path) -> None:
    """The log of the master has the same size after each start."""
    sizes = []
    for number in range(3):
        with s3_server(tmp_path / "stack") as s3:
            upload_seconds(s3, str(number))
        sizes.append([each.stat().st_size for each in (tmp_path / "stack" / "s3").glob("m*/log")])
    assert sizes[1] == sizes[2] != []
