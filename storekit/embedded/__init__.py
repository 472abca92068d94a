"""The three servers, from their wheels, in one directory: for development, tests and demonstrations."""

from __future__ import annotations

from storekit.embedded.stack import ServerStatus, Stack, down, require, settings, status, up

__all__ = ["ServerStatus", "Stack", "down", "require", "settings", "status", "up"]
