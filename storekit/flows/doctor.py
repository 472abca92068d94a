"""Look at the parts of storekit that work on their own: the sequencer, its log, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from storekit.flows.context import Context
from storekit.flows.sequence import PUBLISH, work
from storekit.ports.statements import Work

STALE = 3 * PUBLISH
"""A relay gives a sign about every second. After this time it has died or is stuck."""
LATE = timedelta(minutes=1)
"""How far `complete_through` may lie behind before it is a finding."""
_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and whether somebody must act."""

    subject: str
    text: str
    wrong: bool = False


async def examine(context: Context) -> list[Check]:
    """Look at the sequencer, with the worker's login. One trip, at most 15 s.

    Raises:
        ConfigurationError: POSTGRES_WORKER_URL is not set, or the database was not migrated.
        Unavailable: Postgres cannot be reached.
    """
    return list(checks(await work(context, Work("health", (), _TIMEOUT))))


def checks(health: dict[str, Any]) -> Iterator[Check]:
    """Judge the reply of `storekit.relay_health_v1`."""
    now = _moment(health["now"])
    beat = None if health["heartbeat"] is None else now - _moment(health["heartbeat"])
    if beat is None:
        yield Check("sequencer", "none has run in this database; run storekit relay", wrong=True)
    else:
        text = f"{health['holder']}, term {health['term']}, last sign {_age(beat)} ago"
        stale = f"{text}; it is dead or stuck: look at its process, or run another storekit relay"
        yield Check("sequencer", stale if beat > STALE else text, wrong=beat > STALE)
    yield _lag(health, now, dead=beat is None or beat > STALE)
    yield _complete(health, now)
    yield _partitions(health)


def _lag(health: dict[str, Any], now: datetime, *, dead: bool) -> Check:
    if health["waiting_since"] is None:
        return Check("lag", "none: no event waits")
    lag = now - _moment(health["waiting_since"])
    wrong = lag > LATE or (dead and lag > STALE)
    return Check("lag", f"the oldest event that waits occurred {_age(lag)} ago", wrong=wrong)


def _complete(health: dict[str, Any], now: datetime) -> Check:
    oldest, through = health["oldest"], health["complete_through"]
    held = ""
    if oldest["unknown"]:
        held = f"; held back: {oldest['unknown']}"
    elif oldest["since"]:
        who = f"pid {oldest['pid']}, role {oldest['role']}, {oldest['state']}"
        held = f"; oldest transaction: {who}, {_age(now - _moment(oldest['since']))} old"
    if through is None:
        return Check("complete_through", f"unknown{held}", wrong=True)
    behind = now - _moment(through)
    text = f"{through}, {_age(behind)} behind{held}"
    return Check("complete_through", text, wrong=behind > LATE)


def _partitions(health: dict[str, Any]) -> Check:
    if health["missing"]:
        return Check("partitions", "the last one is missing; events wait until it exists", wrong=True)
    text = f"room for {health['room']:,} events"
    return Check("partitions", text, wrong=health["room"] < health["partition_size"] / 10)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _age(age: timedelta) -> str:
    return f"{age.total_seconds():.1f} s"
