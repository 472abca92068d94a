"""The listening sockets of processes, as the kernel lists them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"
_ACCEPTS = 0x10000


def descendants(pid: int) -> set[int]:
    """Return a process and all processes that descend from it."""
    parents = {}
    for each in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            parents[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
    found, size = {pid}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def listeners(pids: Iterable[int]) -> dict[str, int | str]:
    """Return the listening sockets of processes: the inode, and the port or the path of a Unix socket.

    A socket that is not on loopback is an error.
    """
    found: dict[str, int | str] = {}
    for pid in pids:
        with suppress(OSError):  # it has ended
            mine = set(_inodes(pid))
            for inode, address, port in (*_tcp("tcp"), *_tcp("tcp6")):
                if inode in mine:
                    assert address == "127.0.0.1", f"process {pid} listens on {address}:{port}"
                    found[inode] = port
            cwd = os.readlink(_PROC / str(pid) / "cwd")
            found |= {inode: os.path.join(cwd, path) for inode, path in _unix() if inode in mine}
    return found


def _inodes(pid: int) -> Iterator[str]:
    for each in (_PROC / str(pid) / "fd").iterdir():
        with suppress(OSError):
            target = os.readlink(each)
            if target.startswith("socket:["):
                yield target[8:-1]


def _tcp(name: str) -> Iterator[tuple[str, str, int]]:
    for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENING:
            address, port = fields[1].split(":")
            yield fields[9], _address(address), int(port, 16)


def _address(text: str) -> str:
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)  # the kernel prints words in the order of the machine
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def _unix() -> Iterator[tuple[str, str]]:
    for line in (_PROC / "net" / "unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if int(fields[3], 16) & _ACCEPTS:
            yield fields[6], fields[7] if len(fields) > 7 else ""
