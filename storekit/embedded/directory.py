"""The directory of a stack: whose it is, what lies where, what is remembered."""

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

from storekit.errors import ConfigurationError, Unavailable

_MARK = "stack.json"
_FORMAT = 1
_OURS_BEFORE = {"migrations", ".gitignore"}
"""What may be there before the first start: a project keeps its migrations and starts with fresh data."""


class Home:
    """A directory that belongs to one stack and one user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def claim(cls, directory: Path) -> Self:
        """Take a new or empty directory, or one that is a stack of this user already.

        Raises:
            ConfigurationError: it is something else, or another user's.
        """
        home = cls(Path(os.path.abspath(directory)))
        if home.path.exists() and not home.path.is_dir():
            raise ConfigurationError(f"{home.path} is not a directory; name another for the embedded stack")
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not home.taken:
            home._take()
        home._check_mark()
        return home

    @property
    def taken(self) -> bool:
        """Whether a stack has been here."""
        return (self.path / _MARK).exists()

    def _take(self) -> None:
        strangers = {each.name for each in self.path.iterdir() if not each.name.startswith(_MARK)}
        if strangers - _OURS_BEFORE and not self.taken:
            found = ", ".join(sorted(strangers - _OURS_BEFORE)[:3])
            raise ConfigurationError(
                f"{self.path} is not a stack of storekit and not empty (it holds {found}); "
                "name another directory"
            )
        self.path.chmod(0o700)
        self.write(_MARK, {"format": _FORMAT, "uid": os.geteuid()})
        for name in ("s3", "log"):
            (self.path / name).mkdir(mode=0o700, exist_ok=True)

    def _check_mark(self) -> None:
        mark = self.read(_MARK)
        if mark.get("format") != _FORMAT:
            raise ConfigurationError(
                f"{self.path} is a stack of format {mark.get('format')}, this storekit knows {_FORMAT}; "
                "open it with the version that made it, or name another directory"
            )
        if mark["uid"] != os.geteuid():
            raise ConfigurationError(
                f"{self.path} is the stack of uid {mark['uid']}, this process is uid {os.geteuid()}; "
                "start it as that user, or name another directory"
            )

    def log(self, name: str) -> Path:
        """Say where a server's log is; the log of its run before this one is beside it, in `.1`."""
        return self.path / "log" / f"{name}.log"

    def read(self, name: str) -> dict[str, Any]:
        """Read a remembered thing; nothing is remembered as an empty dict."""
        try:
            found = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ConfigurationError(
                f"{self.path / name} is damaged; restore it, or remove the whole directory and its data"
            ) from error
        return found if isinstance(found, dict) else {}

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Remember a thing, for this user's eyes only, whole or not at all."""
        fresh = self.path / f"{name}.{token_hex(4)}.tmp"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / name)

    @contextmanager
    def turn(self, timeout: float) -> Iterator[None]:
        """Let one process at a time start or heal servers; the kernel ends a dead one's turn."""
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


def try_lock(file: int) -> bool:
    """Lock an open file, unless somebody holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
