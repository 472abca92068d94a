"""The replies of the ledger's write functions, as classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, cast
from uuid import UUID

from storekit import ids
from storekit.errors import (
    ConfigurationError,
    Conflict,
    IdempotencyConflict,
    NotFound,
    StorekitError,
    WriteLost,
)
from storekit.model.save.plan import Write

_CLOCKS_AGREE = timedelta(hours=1)
Json: TypeAlias = Mapping[str, Any]
Decision: TypeAlias = Literal["committed", "aborted", "unknown"]
"""The outcome of a write; "unknown" if the ledger has deleted the row of the write because of its age."""


@dataclass(slots=True)
class Lease:
    """The time until which an upload may be signed, by the clock of the database. A renewal extends it."""

    granted_on: datetime
    sign_until: datetime
    received_on: datetime
    """When the reply arrived, by the clock of this machine: the two clocks may differ."""

    @classmethod
    def of(cls, reply: Json) -> Lease:
        """Parse the lease in a reply of stage or renew."""
        granted_on, sign_until = (datetime.fromisoformat(reply[name]) for name in ("now", "sign_until"))
        return cls(granted_on, sign_until, ids.now())


@dataclass(frozen=True, slots=True)
class StagedPart:
    """Where a part is to be uploaded."""

    key: str
    """The key of its object, or the collection of its document."""
    expires_on: datetime | None


@dataclass(frozen=True, slots=True)
class Staged:
    """The write is recorded: its parts may be uploaded until its lease expires."""

    parts: tuple[StagedPart, ...]
    """In the plan's order."""
    lease: Lease


@dataclass(frozen=True, slots=True)
class Visible:
    """The write is committed."""

    now: datetime
    versions: Mapping[tuple[str, str], int]
    """By table and ref_id."""
    rows: Sequence[list[Json]] = ()
    """The rows of each statement that was sent after the commit, in the same transaction."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """An earlier write with the same key and request had committed; nothing was written now."""

    rows: Mapping[int, tuple[str, int]]
    """The ref_id and the version of each row that it wrote, by the place of its record in the request."""


@dataclass(frozen=True, slots=True)
class Held:
    """Another write holds the idempotency key."""

    lease_left: timedelta


def staged_from(write: Write, reply: Json) -> Staged | Replayed | Held:
    """Parse the reply of stage.

    Raises:
        NotFound, Conflict: a row that the write changes is missing, or has another version than expected.
        IdempotencyConflict: the key belongs to another request.
        WriteLost: the write was taken over.
    """
    if reply["outcome"] != "staged":
        return _other(write, reply)
    parts = (reply["parts"][str(part_id)] for part_id in write.part_ids)
    return Staged(
        tuple(StagedPart(part["key"], _moment(part["expires_on"])) for part in parts), Lease.of(reply)
    )


def visible_from(write: Write, reply: Json, rows: Sequence[list[Json]] = ()) -> Visible | Replayed | Held:
    """Parse the reply of commit or transition.

    Raises:
        IdempotencyConflict: the key belongs to another request.
        WriteLost: the write was taken over.
    """
    if reply["outcome"] != "committed":
        return _other(write, reply)
    versions = {(table, ref_id): version for table, ref_id, version in reply["rows"]}
    return Visible(datetime.fromisoformat(reply["now"]), versions, rows)


def lease_from(reply: Json) -> Lease | None:
    """Parse the reply of renew; None if the write was taken over."""
    return Lease.of(reply) if reply["outcome"] == "renewed" else None


def decision_from(reply: Json) -> Decision:
    """Parse the reply of abandon."""
    return cast(Decision, reply["outcome"])


def _other(write: Write, reply: Json) -> Replayed | Held:
    match reply["outcome"]:
        case "replay":
            result = reply["result"]
            # only a write with a key has places, and only such a write is replayed to another one
            rows = zip(result.get("places", ()), result["rows"], strict="places" in result)
            return Replayed({place: (ref_id, version) for place, (_, ref_id, version) in rows})
        case "held":
            return Held(timedelta(seconds=reply["lease_left"]))
        case "mismatch":
            raise IdempotencyConflict(str(write.key))
        case "missing":
            raise NotFound(reply["entity"], reply["ref_id"])
        case "conflict":
            raise Conflict(reply["entity"], reply["ref_id"], reply["expected"], reply["found"])
    raise lost(write.write_id, reply)


def lost(write_id: UUID, reply: Json) -> StorekitError:
    """Return the error of a write that the ledger did not let this call commit.

    The id of a write contains the time of this machine. The ledger takes one that is more than a day old for
    a write that it has deleted, so a clock that is days behind would lose every write.
    """
    if "now" in reply:
        behind = datetime.fromisoformat(reply["now"]) - ids.now()
        if behind > _CLOCKS_AGREE:
            return ConfigurationError(
                f"the clock of this machine is {timedelta(seconds=round(behind.total_seconds()))} behind the "
                "clock of Postgres, so no write can be committed; set the clock"
            )
    return WriteLost(write_id, "another write used its key first, or its lease (STOREKIT_LEASE) expired")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
