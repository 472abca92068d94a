"""What belongs to an event loop is made for each, and ends with it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from storekit import Settings
from storekit.drivers.mongo import clients
from storekit.drivers.mongo.clients import ClientPerLoop
from storekit.drivers.runtime import TaskRuntime


class Client:
    """A client that records the event loop in which it was closed."""

    closed_in: Any = None

    async def close(self) -> None:
        self.closed_in = asyncio.get_running_loop()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    found: list[Client] = []

    def connect(*_: Any, **__: Any) -> Client:
        found.append(Client())
        return found[-1]

    monkeypatch.setattr(clients, "connect", connect)
    return found


def test_each_event_loop_has_a_client_that_is_closed_in_it(made: list[Client]) -> None:
    """A client is used by one event loop, closed when that loop ends, and not made before it is needed."""
    per_loop = ClientPerLoop(Settings())

    async def use() -> tuple[Any, Any]:
        first, second = await asyncio.gather(per_loop.client(), per_loop.client())
        assert first is second
        return first, asyncio.get_running_loop()

    used = [asyncio.run(use()) for _ in range(2)]
    assert [client for client, _ in used] == made
    assert [client.closed_in for client in made] == [loop for _, loop in used]


async def test_closing_the_store_closes_the_client_of_the_running_loop(made: list[Client]) -> None:
    """close() closes the client; a second close() does nothing."""
    per_loop = ClientPerLoop(Settings())
    client = await per_loop.client()
    await per_loop.close()
    await per_loop.close()
    assert (made, client.closed_in) == ([client], asyncio.get_running_loop())


def test_uploads_wait_for_each_other_in_each_event_loop() -> None:
    """More puts than the limit run in one event loop after another."""
    runtime = TaskRuntime(1)
    running: list[int] = []

    async def put() -> int:
        running.append(1)
        await asyncio.sleep(0)
        most = len(running)
        running.pop()
        return most

    async def renew() -> None: ...

    for _ in range(2):
        assert asyncio.run(runtime.wave([put] * 3, renew, timedelta(seconds=9))) == [1, 1, 1]
