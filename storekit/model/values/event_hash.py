"""Verify the hashes of events, as `schemas/postgres/migrations/0016_sequencer.sql` computes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

FIRST = bytes(32)
"""The hash before the first event of a tenant."""
_VALUES = ("before", "after", "reason", "context")
_HEAD = (
    *("tenant_id", "seq", "event_id", "type", "entity", "ref_id", "version", "occurred_on", "sequenced_on"),
    *("actor", "on_behalf_of", "login", "write_id", "parts", "digest"),
)
_TIME = "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS {0}"
COLUMNS = (
    "pos, prev_hash, hash, digest, salt, before::text, after::text, reason, context::text, parts::text, "
    "tenant_id::text, seq, event_id::text, type, entity, ref_id, version, actor, on_behalf_of, login, "
    f"write_id::text, {_TIME.format('occurred_on')}, {_TIME.format('sequenced_on')}"
)
"""The columns of `storekit.domain_event` as `broken` takes them: JSON as the stored text."""


def line(name: str, value: object) -> bytes:
    """Return one line of what is hashed.

    >>> line("actor", "user:ada"), line("reason", None)
    (b'actor 8 user:ada\\n', b'reason -\\n')
    """
    if value is None:
        return f"{name} -\n".encode()
    text = value.hex() if isinstance(value, bytes) else str(value)
    encoded = text.encode()
    return f"{name} {len(encoded)} ".encode() + encoded + b"\n"


def digest_of(event: Mapping[str, Any]) -> bytes:
    """Return the digest of the values of an event with its salt."""
    lines = line("salt", event["salt"]) + b"".join(line(name, event[name]) for name in _VALUES)
    return sha256(b"storekit values 1\n" + lines).digest()


def hash_of(event: Mapping[str, Any]) -> bytes:
    """Return the hash of an event, which covers the hash before it and the digest of its values."""
    head = sha256(b"".join(line(name, event[name]) for name in _HEAD)).digest()
    return sha256(b"storekit event 1\n" + event["prev_hash"] + head).digest()


def broken(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with the events of one tenant, in the order of `seq`; empty if nothing is.

    An event whose values were erased has no salt: its digest is then taken as it is stored.
    """
    found: list[str] = []
    expected, seq = FIRST, 1
    for event in events:
        where = f"event {event['pos']}"
        if event["seq"] != seq:
            found.append(f"{where} has seq {event['seq']}, not {seq}")
        if event["prev_hash"] != expected:
            found.append(f"{where} does not follow the event before it")
        if event["salt"] is not None and digest_of(event) != event["digest"]:
            found.append(f"{where} has other values than its digest")
        if hash_of(event) != event["hash"]:
            found.append(f"{where} has another head than its hash")
        expected, seq = event["hash"], event["seq"] + 1
    return found
