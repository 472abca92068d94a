"""The connections of one pool, as the server sees them."""

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
    """Settings whose connections can be told from all others, and what the server tells of these."""

    def __init__(self, settings: Settings, server: psycopg.Connection[Any], changes: dict[str, Any]) -> None:
        assert settings.postgres_url
        self._name, self._server = uuid4().hex, server
        url = make_conninfo(settings.postgres_url.get_secret_value(), application_name=self._name)
        self.settings = settings.model_copy(update={"postgres_url": SecretStr(url), **changes})

    def processes(self) -> set[int]:
        """The server's processes for these connections."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        return {pid for (pid,) in self._server.execute(query, [self._name])}

    def come_to(self, count: int) -> None:
        """Wait until there are exactly so many: the server sees a good-bye a moment later."""
        ends = time.monotonic() + 20
        while len(self.processes()) != count:
            assert time.monotonic() < ends, f"{len(self.processes())} connections, not {count}"

    def kill(self) -> None:
        """End all of them, as the server's operator would."""
        self._server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) AS pid", [list(self.processes())]
        )


@contextmanager
def seen(settings: Settings, **changes: Any) -> Iterator[Seen]:
    """Watch the pool of a store that is opened with these settings."""
    assert settings.postgres_url
    with psycopg.connect(settings.postgres_url.get_secret_value(), autocommit=True) as server:
        yield Seen(settings, server, changes)


def pool_of(store: Store | AsyncStore) -> Any:
    """The pool of a store's app; of an asynchronous one, that of the running loop."""
    assembly = store._assembly if isinstance(store, Store) else store._ports
    assert assembly
    ledger: Any = assembly.ledger
    return ledger.pool
