"""One pool for all who ask alike, however many stores a process has opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from storekit.drivers.postgres.logins import LOGINS
from storekit.drivers.postgres.pool import AsyncPool, Pool
from storekit.settings import Login, Settings

P = TypeVar("P", Pool, AsyncPool)

_DECIDING = ("timeout", "prepare", "pool_min", "pool_size", "pool_idle", "pool_wait", "pool_queue")


class _Register:
    """Pools by what they are for; one that nobody holds any more goes by itself."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pools: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()


_register = _Register()


def join(user: object, settings: Settings, login: Login, make: Callable[[], P], loop: object = None) -> P:
    """Use the pool of these settings and this login, and of this event loop if there is one."""
    key = (login, loop, *(getattr(settings, name) for name in (LOGINS[login].setting, *_DECIDING)))
    with _register.lock:
        pool: P | None = _register.pools.get(key)
        if pool is None or pool.closed:
            pool = _register.pools[key] = make()
        pool.users.add(user)
        return pool


def leave(user: object, pool: Pool | AsyncPool) -> bool:
    """Use it no more; tell its last user, who is to close it."""
    with _register.lock:
        pool.users.discard(user)
        pool.closed = not pool.users
        return pool.closed


def _begin_anew() -> None:
    """Give a forked child a register of its own: it never touches its parent's connections."""
    global _register  # noqa: PLW0603  one for each process
    _register = _Register()


os.register_at_fork(after_in_child=_begin_anew)
