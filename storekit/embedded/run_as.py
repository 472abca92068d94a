"""Run a program that ends with its parent and that, under root, has none of root's rights.

    python -I -S confine.py WAY UID SIGNAL PARENT PROGRAM ARGUMENT...

A script of its own, on the standard library alone: this must happen between fork and exec, where a process
with threads may run no Python, and a shell has no word for it.
"""

from __future__ import annotations

import ctypes
import os
import sys

REFUSED = 97
"""Exit code: the kernel does not let us become UID this way."""

_NEW_USER_NAMESPACE = 0x10000000
_SET_PARENT_DEATH_SIGNAL = 1


def main(way: str, uid: str, signal: str, parent: str, *command: str) -> None:
    """Become UID, tie this process to its parent, turn into the program."""
    try:
        _WAYS[way](int(uid))
    except OSError as error:
        sys.stderr.write(f"uid {uid} by {way}: {error}\n")
        sys.exit(REFUSED)
    _follow(int(parent), int(signal))
    os.execv(command[0], command)  # noqa: S606  no shell is the point


def _plain(uid: int) -> None:
    pass


def _namespace(uid: int) -> None:
    # Inside, root is called `uid` and holds no capability; outside it is root still, so the files are root's.
    own_uid, own_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare") or libc.unshare(_NEW_USER_NAMESPACE):
        raise OSError(ctypes.get_errno(), "user namespaces are refused")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {own_uid} 1")
    _write("/proc/self/gid_map", f"{uid} {own_gid} 1")


def _user(uid: int) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _follow(parent: int, signal: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal, 0, 0, 0)
    # A parent that died before the line above sends no signal any more.
    if os.getppid() != parent:
        sys.exit(1)


_WAYS = {"plain": _plain, "namespace": _namespace, "user": _user}

if __name__ == "__main__":
    main(*sys.argv[1:])
