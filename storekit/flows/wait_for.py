"""Wait until the sequencer has moved events."""

from __future__ import annotations

from datetime import datetime, timedelta

from storekit.errors import NotSequenced, UsageError, ValidationError
from storekit.flows.calls import read
from storekit.flows.context import Context
from storekit.flows.write.backoff import Backoff
from storekit.model.declare.entity import Entity, require_table
from storekit.model.values.limits import to_utc
from storekit.ports.statements import Progress

_FIRST, _LONGEST = timedelta(milliseconds=10), timedelta(milliseconds=250)


async def wait_for(context: Context, target: int | datetime | Entity, timeout: float) -> int:
    """Wait for a position, for all events up to an instant, or for the event of a record.

    One trip for each look, the first one at once, the next ones after 5 ms to 250 ms.

    Raises:
        UsageError: the target is none of these, or a record that was not saved.
        NotSequenced: it is not reached in time.
    """
    asked = _asked(target)
    if isinstance(target, datetime):
        target = to_utc(target, "target")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise ValidationError("it must be a number of seconds of at least 0", field="timeout")
    waited, pauses = timedelta(), Backoff(context, _FIRST)
    while True:
        (found,) = await read(context, [asked])
        if _reached(target, found["pos"], found["complete_through"], found["waiting"]):
            return int(found["pos"])
        left = timedelta(seconds=timeout) - waited
        if left <= timedelta():
            raise NotSequenced(_described(target), found["pos"], found["complete_through"], timeout)
        waited += await pauses.pause(min(_LONGEST, left))


def _asked(target: object) -> Progress:
    if isinstance(target, Entity):
        table = require_table(type(target))
        if target.version is None:
            raise UsageError(
                f"{type(target).__name__} {target.ref_id} was not saved, so it has no event; save it first"
            )
        return Progress(table.name, target.ref_id, target.version)
    if isinstance(target, bool) or not isinstance(target, int | datetime):
        kind = type(target).__name__
        raise UsageError(f"wait_for() takes a position, an aware datetime or a saved record, not {kind}")
    return Progress()


def _reached(target: int | datetime | Entity, pos: int, through: datetime | None, waiting: bool) -> bool:
    match target:
        case int():
            return pos >= target
        case datetime():
            return through is not None and through >= target
    return not waiting


def _described(target: int | datetime | Entity) -> str:
    match target:
        case int():
            return f"position {target}"
        case datetime():
            return f"completeness through {target.isoformat()}"
    return f"the event of {type(target).__name__} {target.ref_id}, version {target.version},"
