"""Run the three servers from their wheels in one directory, for development, tests and demonstrations.

Example:
    with Stack.start(Path("data")) as stack:
        store = Store.open(stack.settings())
"""

from __future__ import annotations

from storekit.embedded.stack import ServerStatus, Stack, down, require, settings, status, up

__all__ = ["ServerStatus", "Stack", "down", "require", "settings", "status", "up"]
