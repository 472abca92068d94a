"""Run a program that ends with its parent and, if it is started by root, has none of root's capabilities.

    python -I -S run_as.py WAY UID SIGNAL PARENT PROGRAM ARGUMENT...

This is a script that uses the standard library only, because the calls below must happen between fork and
exec. A process with threads must not run Python code there, and a shell cannot make these calls.
"""

from __future__ import annotations

import ctypes
import os
import sys

REFUSED = 97
"""Exit code: the kernel refused to change to UID this way."""

_NEW_USER_NAMESPACE = 0x10000000
_SET_PARENT_DEATH_SIGNAL = 1


def main(way: str, uid: str, signal: str, parent: str, *command: str) -> None:
    """Change to UID, arrange for a signal when the parent dies, and execute the program."""
    try:
        _WAYS[way](int(uid))
    except OSError as error:
        sys.stderr.write(f"uid {uid} by {way}: {error}\n")
        sys.exit(REFUSED)
    _end_with(int(parent), int(signal))
    os.execv(command[0], command)  # noqa: S606  no shell on purpose


def _plain(uid: int) -> None:
    pass


def _namespace(uid: int) -> None:
    # Inside the namespace the process has uid `uid` and no capabilities. Outside it is still root: its files
    # belong to root and are reachable under directories of mode 0700, and it can read and write every other
    # file that belongs to root.
    own_uid, own_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare") or libc.unshare(_NEW_USER_NAMESPACE):
        raise OSError(ctypes.get_errno(), "user namespaces are not allowed")
    _write("/proc/self/setgroups", "deny")  # the kernel requires this before gid_map may be written
    _write("/proc/self/uid_map", f"{uid} {own_uid} 1")
    _write("/proc/self/gid_map", f"{uid} {own_gid} 1")


def _user(uid: int) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _end_with(parent: int, signal: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal, 0, 0, 0)
    # No signal is sent if the parent died before the call above.
    if os.getppid() != parent:
        sys.exit(1)


_WAYS = {"plain": _plain, "namespace": _namespace, "user": _user}

if __name__ == "__main__":
    main(*sys.argv[1:])
