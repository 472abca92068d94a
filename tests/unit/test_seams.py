"""The bridge, the trace, settings, and blobs before they are sent."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from storekit import Blob, Settings, UsageError, ValidationError, bridge, trace
from storekit.errors import TenantRequired
from storekit.flows.context import Actor


def test_run_returns_the_result_of_a_coroutine() -> None:
    """`run` returns the value of a coroutine or raises its error."""

    async def flow(value: int) -> int:
        if value < 0:
            raise ValueError("negative")
        return value + 1

    assert bridge.run(flow(1)) == 2
    with pytest.raises(ValueError, match="negative"):
        bridge.run(flow(-1))


def test_run_refuses_a_coroutine_that_suspends() -> None:
    """A suspension inside `run` raises an error instead of hanging."""

    async def flow() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="suspended in sync mode"):
        bridge.run(flow())


def test_settle_takes_values_and_awaitables() -> None:
    """`settle` returns a value itself, and awaits an awaitable."""

    async def later() -> int:
        return 2

    async def flow(value: int | Awaitable[int]) -> int:
        return await bridge.settle(value)

    assert bridge.run(flow(1)) == 1
    assert bridge.run(flow(later())) == 2


def test_a_listener_sees_the_phases_of_a_step() -> None:
    """A listener is called at the start, end and failure; its own error fails the step before its work."""
    heard: list[tuple[str, str]] = []
    with trace.listen(lambda name, phase: heard.append((name, phase))):
        with trace.step("a.ok"):
            pass
        with pytest.raises(KeyError), trace.step("a.bad"):
            raise KeyError("x")
    with trace.step("a.unheard"):
        pass
    assert heard == [("a.ok", "started"), ("a.ok", "finished"), ("a.bad", "started"), ("a.bad", "failed")]


SECRETS = {
    "POSTGRES_URL": "postgresql://u:hunter2@h/d",
    "MONGO_URL": "mongodb://u:hunter2@h",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "AWS_SESSION_TOKEN": "hunter2",
}


def test_settings_never_show_a_secret() -> None:
    """No repr, str or dump of the settings contains a password, a key or a token."""
    settings = Settings.from_env({**SECRETS, "AWS_DEFAULT_REGION": "eu-west-1"})
    assert settings.s3_region == "eu-west-1"
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in shown


def test_an_empty_variable_means_the_default() -> None:
    """An environment variable with an empty value means the default."""
    assert Settings.from_env({"AWS_REGION": "", "S3_BUCKET": ""}) == Settings.from_env({})


@pytest.mark.parametrize("tenant", [None, "", "acme", 7])
def test_a_scope_without_a_tenant_is_refused(tenant: Any) -> None:
    """A missing or invalid tenant raises TenantRequired before any I/O."""
    with pytest.raises(TenantRequired):
        Actor.of(tenant, "user:jane")


@pytest.mark.parametrize("actor", ["", "  ", None])
def test_a_scope_without_an_actor_is_refused(actor: Any) -> None:
    """A scope needs the name of an actor."""
    with pytest.raises(UsageError):
        Actor.of("0190b1a0-0000-7000-8000-000000000001", actor)


def test_every_kind_of_content_is_measured_and_can_be_read_twice(tmp_path: Path) -> None:
    """Text, bytes, a path, a file and an iterator return the same bytes each time they are read."""
    file = tmp_path / "content.txt"
    file.write_bytes(b"h\xc3\xa9")
    skipped = io.BytesIO(b"--h\xc3\xa9")
    skipped.seek(2)
    for content in ("hé", b"h\xc3\xa9", file, file.open("rb"), skipped, iter([b"h", b"\xc3", b"\xa9"])):
        source = Blob(content).measure("x")
        assert (source.size, source.sha256) == (3, hashlib.sha256(b"h\xc3\xa9").digest())
        for _ in range(2):
            with source.open() as opened:
                assert opened.read() == b"h\xc3\xa9"
        if isinstance(content, io.BufferedReader):
            assert not content.closed
            content.close()


def test_content_that_cannot_seek_is_copied() -> None:
    """The bytes of a pipe can be sent again, although a pipe can be read only once."""
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        source = Blob(pipe).measure("x")
    with source.open() as opened:
        assert opened.read() == b"piped"


def test_a_missing_file_is_refused_with_its_field(tmp_path: Path) -> None:
    """A path that cannot be read raises ValidationError with the field."""
    with pytest.raises(ValidationError, match="Call.transcript") as caught:
        Blob(tmp_path / "gone").measure("Call.transcript")
    assert caught.value.field == "transcript"


def test_content_must_be_bytes_or_text(tmp_path: Path) -> None:
    """A text file and a number are refused when the Blob is created, with the remedy."""
    with (tmp_path / "x").open("w") as file, pytest.raises(UsageError, match="binary"):
        Blob(file)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be str, bytes"):
        Blob(7)  # type: ignore[arg-type]


def test_the_download_of_a_path_has_its_file_name() -> None:
    """The name of the file is the name of the download, unless another is given."""
    assert Blob(Path("/tmp/report.pdf")).filename == "report.pdf"
    assert Blob(Path("/tmp/report.pdf"), filename="q3.pdf").filename == "q3.pdf"
