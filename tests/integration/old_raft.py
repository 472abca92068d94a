"""The state that the master of SeaweedFS has after 210 starts, if it keeps its log."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from pathlib import Path

_SNAPSHOT, _FIRST, _LAST = 405, 206, 428
_PER_START = 2


def plant(data: Path, port: int, grpc_port: int) -> None:
    """Write a log with two entries for each start, which has been compacted at the 200th start."""
    name = f"127.0.0.1:{port}.{grpc_port}"
    state = {"maxVolumeId": 2, "topologyId": "0836d1a0-0a9c-4ff9-a336-f279de9b48a9"}
    place = data / f"m{port}"
    kept = place / "snapshot" / f"200_{_SNAPSHOT}.ss"
    snapshot = {
        "lastIndex": _SNAPSHOT,
        "lastTerm": 200,
        "peers": [{"name": name, "connectionString": f"127.0.0.1:{grpc_port}"}],
        "state": b64encode(json.dumps(state).encode()).decode(),
        "path": str(kept.relative_to(data)),
    }
    body = json.dumps(snapshot).encode()
    for each in (place / "snapshot").iterdir():
        each.unlink()
    kept.write_bytes(b"%08x\n%s" % (zlib.crc32(body), body))
    vote = {"currentTerm": _term(_LAST), "votedFor": name}
    (place / "state").write_text(json.dumps(vote))
    (place / "conf").write_text(json.dumps({"commitIndex": _SNAPSHOT, "peers": [], **vote}))
    (place / "log").write_bytes(b"".join(_entry(index, state) for index in range(_FIRST, _LAST + 1)))


def _term(index: int) -> int:
    return (index - 3) // _PER_START


def _entry(index: int, state: dict[str, object]) -> bytes:
    name, data = (b"raft:nop", b"") if index % _PER_START else (b"MaxVolumeId", json.dumps(state).encode())
    message = b"\x08" + _varint(index) + b"\x10" + _varint(_term(index)) + _text(b"\x1a", name)
    message += _text(b"\x22", data) if data else b""
    return b"%8x\n%s" % (len(message), message)


def _text(tag: bytes, value: bytes) -> bytes:
    return tag + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])
