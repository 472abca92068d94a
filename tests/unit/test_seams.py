"""The bridge, the trace, the settings, blobs before they are sent."""

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


def test_a_flow_that_never_suspends_is_driven_to_its_end() -> None:
    """`run` gives a flow's value, and raises what it raises."""

    async def flow(value: int) -> int:
        if value < 0:
            raise ValueError("negative")
        return value + 1

    assert bridge.run(flow(1)) == 2
    with pytest.raises(ValueError, match="negative"):
        bridge.run(flow(-1))


def test_a_port_that_suspends_in_sync_mode_is_a_bug_that_is_named() -> None:
    """A suspension under `run` is an error, not a hang."""

    async def flow() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="suspended in sync mode"):
        bridge.run(flow())


def test_settle_takes_values_and_awaitables_alike() -> None:
    """One class can serve a client's sync and async twins."""

    async def later() -> int:
        return 2

    async def flow(value: int | Awaitable[int]) -> int:
        return await bridge.settle(value)

    assert bridge.run(flow(1)) == 1
    assert bridge.run(flow(later())) == 2


def test_a_step_tells_its_listeners_when_it_starts_ends_and_fails() -> None:
    """A listener hears each phase; one that raises fails the step before its work is done."""
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
    """No repr, str or dump of the settings holds a password, a key or a token."""
    settings = Settings.from_env({**SECRETS, "AWS_DEFAULT_REGION": "eu-west-1"})
    assert settings.s3_region == "eu-west-1"
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in shown


def test_an_empty_variable_is_an_unset_one() -> None:
    """An environment that sets a variable to nothing gets the default."""
    assert Settings.from_env({"AWS_REGION": "", "S3_BUCKET": ""}) == Settings.from_env({})


@pytest.mark.parametrize("tenant", [None, "", "acme", 7])
def test_a_scope_without_a_tenant_is_refused(tenant: Any) -> None:
    """No tenant, and no UUID, is TenantRequired before any I/O."""
    with pytest.raises(TenantRequired):
        Actor.of(tenant, "user:jane")


@pytest.mark.parametrize("actor", ["", "  ", None])
def test_a_scope_without_an_actor_is_refused(actor: Any) -> None:
    """Who acts must be said."""
    with pytest.raises(UsageError):
        Actor.of("0190b1a0-0000-7000-8000-000000000001", actor)


def test_every_kind_of_content_is_measured_and_can_be_read_twice(tmp_path: Path) -> None:
    """Text, bytes, a path, a file and an iterator give the same bytes, from the start, as often as asked."""
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


def test_content_that_cannot_be_seeked_is_taken_down() -> None:
    """A pipe's bytes can be sent again, though the pipe cannot be read twice."""
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        source = Blob(pipe).measure("x")
    with source.open() as opened:
        assert opened.read() == b"piped"


def test_a_file_that_vanished_is_refused_by_its_fields_name(tmp_path: Path) -> None:
    """A path that cannot be read is a ValidationError that names the field."""
    with pytest.raises(ValidationError, match="Call.transcript") as caught:
        Blob(tmp_path / "gone").measure("Call.transcript")
    assert caught.value.field == "Call.transcript"


def test_a_text_file_and_a_number_are_no_content(tmp_path: Path) -> None:
    """What is not bytes is refused when the Blob is made, with what to do."""
    with (tmp_path / "x").open("w") as file, pytest.raises(UsageError, match="binary"):
        Blob(file)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be str, bytes"):
        Blob(7)  # type: ignore[arg-type]


def test_a_path_gives_its_name_to_the_download() -> None:
    """A file's own name is offered when its blob is downloaded, unless another is given."""
    assert Blob(Path("/tmp/report.pdf")).filename == "report.pdf"
    assert Blob(Path("/tmp/report.pdf"), filename="q3.pdf").filename == "q3.pdf"
