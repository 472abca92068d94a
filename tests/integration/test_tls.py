"""Connections that leave the machine are encrypted and verified, or refused before a credential is sent.

The listeners are on loopback, and `is_local` is replaced: their address counts as that of another machine.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from storekit import Blob, ConfigurationError, Settings, Store, StorekitError
from storekit.drivers.mongo.control import ensure_collections
from storekit.drivers.postgres.target import parse
from storekit.drivers.s3.control import ensure_bucket
from storekit.settings import Tls
from tests.support.entities import Note, Run

MODULES = ("postgres.target", "mongo.connect", "s3.secure")
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count every address as that of another machine."""
    for name in MODULES:
        monkeypatch.setattr(f"storekit.drivers.{name}.is_local", lambda host: False)


def _certificate(directory: Path, name: str) -> tuple[Path, Path]:
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


@contextmanager
def _listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


class Recorder:
    """Answers with the given bytes, and records everything that it is sent."""

    def __init__(self, answer: bytes = b"") -> None:
        self.seen, self._answer = b"", answer

    def __call__(self, client: socket.socket) -> None:
        with client:
            try:
                while chunk := client.recv(65536):
                    self.seen += chunk
                    client.sendall(self._answer)
            except OSError:
                return


class Middle:
    """Offers TLS as Postgres does, with one certificate, and forwards to a server that offers none."""

    def __init__(self, files: tuple[Path, Path], port: int) -> None:
        self.seen, self._port = b"", port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files[1], files[0])

    def __call__(self, client: socket.socket) -> None:
        try:
            assert client.recv(8) == SSL_REQUEST
            client.sendall(b"S")
            with (
                self._context.wrap_socket(client, server_side=True) as inside,
                socket.create_connection(("127.0.0.1", self._port)) as server,
            ):
                back = threading.Thread(target=self._pump, args=(server, inside), daemon=True)
                back.start()
                self._pump(inside, server)
                back.join()
        except (OSError, AssertionError):
            client.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                self.seen += chunk
                sink.sendall(chunk)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)  # ends the other direction too


def _postgres(embedded: Store, port: int, more: str = "") -> Settings:
    real = parse(_plain(embedded.settings.postgres_url), "POSTGRES_URL", Tls.OPTIONAL)
    login = f"{real['user']}:{real['password']}"
    url = f"postgresql://{login}@db.example:{port}/{real['dbname']}?hostaddr=127.0.0.1{more}"
    return Settings(postgres_url=SecretStr(url))


def _plain(value: SecretStr | None) -> str:
    assert value is not None
    return value.get_secret_value()


def _port(embedded: Store) -> int:
    return int(parse(_plain(embedded.settings.postgres_url), "POSTGRES_URL", Tls.OPTIONAL)["port"])


def _save(settings: Settings, entity: Any = None) -> None:
    with Store.open(settings) as store:
        store.scope(tenant=uuid4(), actor="a").repository(type(entity or Run(name="x"))).save(
            entity or Run(name="x")
        )


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca"])
def test_a_weaker_sslmode_is_refused_at_once(mode: str) -> None:
    """An sslmode that does not verify the server is refused, with the setting that allows it."""
    url = f"postgresql://app:secret@db.example/d?sslmode={mode}"
    with pytest.raises(ConfigurationError, match=f"sslmode={mode} .*verify-full, or set POSTGRES_TLS=opt"):
        parse(url, "POSTGRES_URL", Tls.REQUIRED)
    assert parse(url, "POSTGRES_URL", Tls.OPTIONAL)["sslmode"] == mode


@pytest.mark.usefixtures("remote")
def test_postgres_without_tls_gets_no_credential(embedded: Store) -> None:
    """A server that refuses TLS is sent the request for TLS and nothing else, neither login nor password."""
    recorder = Recorder(b"N")
    with _listener(recorder) as port, pytest.raises(ConfigurationError, match="does not support SSL"):
        _save(_postgres(embedded, port))
    assert recorder.seen.replace(SSL_REQUEST, b"") == b""


@pytest.mark.usefixtures("remote")
def test_a_certificate_of_somebody_else_is_refused(embedded: Store, tmp_path: Path) -> None:
    """A certificate that is not trusted, or is for another host, is refused before anything is sent."""
    own, other = _certificate(tmp_path, "db.example"), _certificate(tmp_path, "other.example")
    for shown, trusted, why in (
        (own, other, "certificate verify failed"),
        (other, other, "does not match host name"),
    ):
        middle = Middle(shown, _port(embedded))
        with _listener(middle) as port, pytest.raises(ConfigurationError, match=why):
            _save(_postgres(embedded, port, f"&sslrootcert={trusted[1]}"))
        assert middle.seen == b""


@pytest.mark.usefixtures("remote")
def test_a_verified_certificate_is_accepted(embedded: Store, tmp_path: Path) -> None:
    """With the certificate of its authority a record is saved through TLS; SSL_CERT_FILE names it too."""
    own = _certificate(tmp_path, "db.example")
    middle = Middle(own, _port(embedded))
    with _listener(middle) as port, pytest.MonkeyPatch.context() as patch:
        _save(_postgres(embedded, port, f"&sslrootcert={own[1]}"))
        patch.setenv("SSL_CERT_FILE", str(own[1]))
        _save(_postgres(embedded, port))
    assert b"storekit_app_login" in middle.seen


@pytest.mark.usefixtures("remote")
def test_migrations_need_tls_too() -> None:
    """`migrate` refuses an admin URL that would send its password in the clear."""
    url = SecretStr("postgresql://admin:secret@db.example/d?sslmode=prefer")
    with (
        Store.open(Settings(postgres_admin_url=url)) as store,
        pytest.raises(ConfigurationError, match="POSTGRES_ADMIN_URL: db.example .*POSTGRES_TLS"),
    ):
        store.migrate()


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(
    "query", ["tls=false", "ssl=false", "tls=true&tlsInsecure=true", "tls=true&tlsAllowInvalidHostnames=true"]
)
def test_mongo_without_verified_tls_is_refused(query: str) -> None:
    """A URL that switches TLS or its verification off is refused before the client connects."""
    recorder = Recorder()
    with _listener(recorder) as port:
        settings = Settings(mongo_url=SecretStr(f"mongodb://u:secret@127.0.0.1:{port}/?{query}"))
        with pytest.raises(ConfigurationError, match="MONGO_URL: 127.0.0.1 .*MONGO_TLS=optional"):
            ensure_collections(settings, ["notes"])
    assert recorder.seen == b""


@pytest.mark.usefixtures("remote")
def test_mongo_is_reached_through_tls_by_default(tmp_path: Path) -> None:
    """Without an option in the URL only TLS is tried; a server without it gets no credential."""
    recorder = Recorder(b"in the clear")
    with _listener(recorder) as port:
        url = f"mongodb://mongo-login:secret@127.0.0.1:{port}/?directConnection=true"
        settings = Settings(mongo_url=SecretStr(url))
        with pytest.raises(ConfigurationError, match="does not offer TLS"):
            ensure_collections(settings, ["notes"])
    assert recorder.seen.startswith(b"\x16\x03")  # the first record of TLS
    assert b"mongo-login" not in recorder.seen


def test_members_of_a_replica_set_elsewhere_get_nothing(embedded: Store) -> None:
    """A URL for this machine does not lead to members on other machines that the server names."""
    from storekit.drivers.mongo.connect import _local_only

    class Server:
        def __init__(self, host: str) -> None:
            self.address = (host, 27017)

    here, there = Server("127.0.0.1"), Server("mongo-2.example")
    assert _local_only([here, there]) == [here]


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize("setting", ["s3_endpoint_url", "s3_public_url"])
def test_s3_without_https_is_refused(embedded: Store, setting: str) -> None:
    """http:// is refused for both addresses, by uploads and by migrate, and nothing is sent."""
    recorder = Recorder()
    with _listener(recorder) as port:
        there = {"s3_endpoint_url": "https://s3.example", setting: f"http://127.0.0.1:{port}"}
        settings = embedded.settings.model_copy(update={**there, "postgres_tls": Tls.OPTIONAL})
        calls: list[Callable[[], None]] = [
            lambda: _save(settings, Note(title="n", content=Blob("n"))),
            lambda: ensure_bucket(settings),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match=f"{setting.upper()}.*S3_TLS=optional"):
                call()
    assert recorder.seen == b""


@pytest.mark.usefixtures("remote")
def test_tls_can_be_left_to_the_url(embedded: Store) -> None:
    """With the three settings `optional` the URLs decide, and a record is saved in the clear."""
    off = dict.fromkeys(("postgres_tls", "mongo_tls", "s3_tls"), Tls.OPTIONAL)
    _save(embedded.settings.model_copy(update=off), Note(title="n", content=Blob("n")))
    with pytest.raises(StorekitError):
        _save(embedded.settings, Note(title="n", content=Blob("n")))
