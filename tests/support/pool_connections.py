"""The connections of one pool, as the server reports them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from storekit import AsyncStore, Settings, Store


class Seen:
    """Settings whose connections have a unique application name, and the server's view of them."""

    def __init__(self, settings: Settings, server: psycopg.Connection[Any], changes: dict[str, Any]) -> None:
        assert settings.postgres_url
        self._name, self._server = uuid4().hex, server
        url = make_conninfo(settings.postgres_url.get_secret_value(), application_name=self._name)
        self.settings = settings.model_copy(update={"postgres_url": SecretStr(url), **changes})

    def processes(self) -> set[int]:
        """Return the server's processes for these connections."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        return {pid for (pid,) in self._server.execute(query, [self._name])}

    def come_to(self, count: int) -> None:
        """Wait for exactly this number: the server notices a closed connection with a delay."""
        ends = time.monotonic() + 20
        while len(self.processes()) != count:
            assert time.monotonic() < ends, f"{len(self.processes())} connections, not {count}"

    def kill(self) -> None:
        """Terminate all of them, as an administrator of the server would."""
        self._server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) AS pid", [list(self.processes())]
        )


@contextmanager
def seen(settings: Settings, **changes: Any) -> Iterator[Seen]:
    """Yield settings for a store, whose connections can be counted."""
    assert settings.postgres_url
    with psycopg.connect(settings.postgres_url.get_secret_value(), autocommit=True) as server:
        yield Seen(settings, server, changes)


def pool_of(store: Store | AsyncStore) -> Any:
    """Return the pool of a store's app login; of an async store, that of the running loop."""
    assembly = store._assembly if isinstance(store, Store) else store._ports
    assert assembly
    ledger: Any = assembly.ledger
    return ledger.pool
