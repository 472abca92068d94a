"""Refuse the wrong kind of `with` block: Python's own error does not name the right class."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from storekit.errors import UsageError


class AsyncBlock:
    """Base of the classes whose block begins with `async with`."""

    if not TYPE_CHECKING:  # type checkers refuse `with` themselves, as long as they do not see it

        def __enter__(self) -> NoReturn:
            raise UsageError(f"{type(self).__name__} is asynchronous: write `async with`, or use Store")

        def __exit__(self, *_: object) -> None: ...


class SyncBlock:
    """Base of the classes whose block begins with `with`."""

    if not TYPE_CHECKING:

        def __aenter__(self) -> NoReturn:
            raise UsageError(f"{type(self).__name__} is synchronous: write `with`, or use AsyncStore")

        def __aexit__(self, *_: object) -> None: ...
