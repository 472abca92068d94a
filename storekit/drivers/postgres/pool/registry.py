"""Share one pool between all stores of a process that have the same settings and login.

A web application may open a store for each request. Without sharing, each would open its own connections.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from storekit.drivers.postgres.pool.logins import LOGINS
from storekit.drivers.postgres.pool.pool import AsyncPool, Pool
from storekit.settings import Login, Settings

P = TypeVar("P", Pool, AsyncPool)

_POOL_SETTINGS = (
    "postgres_tls",
    "timeout",
    "prepare",
    "pool_min",
    "pool_size",
    "pool_idle",
    "pool_wait",
    "pool_queue",
)


class _Registry:
    """Pools by their settings. Weak references: a pool without users is garbage-collected."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pools: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()


_registry = _Registry()


def join(user: object, settings: Settings, login: Login, make: Callable[[], P], loop: object = None) -> P:
    """Return the pool of these settings, this login and this event loop (None in the sync API).

    Registers `user`: a pool is closed when its last user leaves.
    """
    key = (login, loop, *(getattr(settings, name) for name in (LOGINS[login].setting, *_POOL_SETTINGS)))
    with _registry.lock:
        pool: P | None = _registry.pools.get(key)
        # If the last user has just left, the pool is closing, and a new user needs a new pool.
        if pool is None or pool.closed:
            pool = _registry.pools[key] = make()
        pool.users.add(user)
        return pool


def leave(user: object, pool: Pool | AsyncPool) -> bool:
    """Unregister a user. Return True to the last one, which must close the pool."""
    with _registry.lock:
        pool.users.discard(user)
        pool.closed = not pool.users
        return pool.closed


def _reset_after_fork() -> None:
    """Give a forked child an empty registry, so that it never uses its parent's connections.

    The lock is replaced too: another thread of the parent may have held it at the fork.
    """
    global _registry  # noqa: PLW0603  one for each process
    _registry = _Registry()


os.register_at_fork(after_in_child=_reset_after_fork)
