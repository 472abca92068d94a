"""`Flushed`: a write of a unit of work whose parts are uploaded and which is not committed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storekit.flows.write.attempt import Attempt
from storekit.flows.write.operations import Operation
from storekit.flows.write.unresolved import remember
from storekit.model.save.change import Change

Row = tuple[str, str]
"""A table and a ref_id."""


@dataclass(frozen=True, slots=True, eq=False)
class Flushed:
    """A write whose parts have been uploaded."""

    attempt: Attempt
    changes: Sequence[Change]
    operations: Sequence[Operation]
    rows: frozenset[Row]

    def remember(self) -> None:
        """Store the write in its objects, so that their next save settles it first."""
        holders = [change.holder for change in self.changes if change.holder is not None]
        write = self.attempt.write
        remember(self.attempt.context, holders, write.key, write.write_id)
