"""The files that the embedded servers read at their start."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from storekit.embedded.certificate import certificate, client_context
from storekit.embedded.directory import Directory
from storekit.embedded.seaweedfs_files import write_files
from storekit.embedded.supervisor import Server


@pytest.fixture
def home(tmp_path: Path) -> Directory:
    return Directory.claim(tmp_path / "stack")


def test_the_configuration_of_the_machine_is_not_read(home: Directory) -> None:
    """SeaweedFS finds each configuration file in its own directory, before those in /etc/seaweedfs."""
    data = home.path / "s3"
    write_files(data, "../tls.pem")
    names = ("security", "master", "volume", "filer", "admin", "notification", "credential")
    assert {each.name for each in data.iterdir()} == {f"{name}.toml" for name in names}
    assert {each.stat().st_mode & 0o777 for each in data.iterdir()} == {0o600}


def test_flags_of_an_earlier_start_do_not_apply(home: Directory) -> None:
    """The file in which SeaweedFS stores its flags is removed before each start."""
    (home.path / "s3" / "mini.options").write_text("webdav=true\n")
    write_files(home.path / "s3", "../tls.pem")
    assert not (home.path / "s3" / "mini.options").exists()


def test_the_certificate(home: Directory) -> None:
    """A stack has one private certificate, which strict clients accept and which never expires."""
    path = certificate(home)
    assert path.stat().st_mode & 0o777 == 0o600
    context = client_context(path)
    assert [each["notAfter"] for each in context.get_ca_certs()] == ["Dec 31 23:59:59 9999 GMT"]
    content = path.read_bytes()
    assert certificate(home).read_bytes() == content

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    server.load_verify_locations(path)
    server.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = [True, True]
    for _ in range(6):
        for number, each in enumerate(ends):
            try:
                each.do_handshake()
                waiting[number] = False
            except ssl.SSLWantReadError:
                continue
    assert waiting == [False, False]


def test_only_own_sockets_are_removed(tmp_path: Path) -> None:
    """After its end, of the names that a server used in /tmp only sockets of this user are removed."""
    import socket

    paths = [tmp_path / "socket", tmp_path / "file", tmp_path / "link", tmp_path / "missing"]
    with socket.socket(socket.AF_UNIX) as mine:
        mine.bind(str(paths[0]))
    paths[1].touch()
    paths[2].symlink_to(paths[1])
    server = Server(None, None, 0, [str(each) for each in paths])  # type: ignore[arg-type]
    server.remove_files()
    assert [each for each in paths if each.exists()] == paths[1:3]
