"""The directory of a stack: its owner, its files, and the lock for starting servers."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

from storekit.embedded.trust import check_own, check_tree, check_way
from storekit.errors import ConfigurationError, Unavailable

_MARK = "stack.json"
_FORMAT = 1
_ALLOWED_BEFORE = {"migrations", ".gitignore"}
"""Entries that a new stack may contain: a project commits its migrations, but not its data."""


class Directory:
    """A directory that belongs to one stack and one user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Use a new or empty directory, or an existing stack of this user.

        Raises:
            ConfigurationError: the directory contains other files, or another user owns or may change it or
                something in it.
        """
        claimed = cls.existing(path)
        if not claimed.path.exists():
            _make(claimed.path)
            claimed = cls.existing(path)  # another user may have made it meanwhile
        if not claimed.is_stack:
            _initialise(claimed)
        _check_mark(claimed)
        return claimed

    @classmethod
    def existing(cls, path: Path) -> Self:
        """Use a directory that may be missing, and create nothing.

        Raises:
            ConfigurationError: another user owns or may change the directory or something in it.
        """
        found = cls(Path(os.path.abspath(path)))
        check_way(found.path)
        if found.path.exists():
            if not found.path.is_dir():
                raise ConfigurationError(
                    f"{found.path} is not a directory; use another path for the embedded stack"
                )
            check_own(found.path)
            check_tree(found.path)
        return found

    @property
    def is_stack(self) -> bool:
        """Whether the directory is a stack, running or not."""
        return (self.path / _MARK).exists()

    def log(self, name: str) -> Path:
        """Return the path of a server's log. The log of its previous run has the suffix `.1`."""
        return self.path / "log" / f"{name}.log"

    def read(self, name: str) -> dict[str, Any]:
        """Read a JSON file; an empty dict if it does not exist."""
        try:
            found = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ConfigurationError(
                f"{self.path / name} is damaged; restore it, or delete the whole directory with its data"
            ) from error
        return found if isinstance(found, dict) else {}

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file with `write_text`."""
        self.write_text(name, json.dumps(content, indent=1))

    def write_text(self, name: str, content: str) -> None:
        """Write a file with mode 0600, atomically: a crash leaves the old content or the new one."""
        fresh = self.path / f"{name}.{token_hex(4)}.tmp"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / name)  # atomic within one directory

    @contextmanager
    def start_lock(self, timeout: float) -> Iterator[None]:
        """Hold the lock under which one process at a time starts servers.

        The kernel releases the lock when the process dies.
        """
        deadline = time.monotonic() + timeout
        file = os.open(self.path / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not try_lock(file):
                if time.monotonic() > deadline:
                    raise Unavailable(
                        "embedded stack", f"another process has been starting it for {timeout:.0f} s"
                    )
                time.sleep(0.02)
            yield
        finally:
            os.close(file)


def _initialise(directory: Directory) -> None:
    # Another process may initialise the directory at the same time, so temporary files of the mark are
    # ignored.
    entries = {each.name for each in directory.path.iterdir() if not each.name.startswith(_MARK)}
    if entries - _ALLOWED_BEFORE and not directory.is_stack:
        found = ", ".join(sorted(entries - _ALLOWED_BEFORE)[:3])
        raise ConfigurationError(
            f"{directory.path} is not a stack of storekit and not empty (it contains {found}); "
            "use another directory"
        )
    directory.path.chmod(0o700)
    directory.write(_MARK, {"format": _FORMAT})
    for name in ("s3", "log"):
        (directory.path / name).mkdir(mode=0o700, exist_ok=True)


def _check_mark(directory: Directory) -> None:
    mark = directory.read(_MARK)
    if mark.get("format") != _FORMAT:
        raise ConfigurationError(
            f"{directory.path} is a stack of format {mark.get('format')}, this version of storekit needs "
            f"{_FORMAT}; open it with the version that created it, or use another directory"
        )


def _make(path: Path) -> None:
    """Create a directory and its missing parents, which nobody else may change whatever the umask is."""
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir(mode=0o755, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def try_lock(file: int) -> bool:
    """Lock an open file; return False if another process holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
