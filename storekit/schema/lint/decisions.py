"""Open decisions: comments of `storekit schema diff` that a person must replace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding
from storekit.schema.lint.script import Script

_MARK = re.compile(r"-- *storekit: *decide\b")


def is_decision(comment: str) -> bool:
    """Return whether a comment begins a decision: `-- storekit: decide: <what>`."""
    return _MARK.match(comment) is not None


def _undecided(script: Script) -> Iterator[Finding]:
    message = "uncomment or write the SQL, then delete this line: an applied file cannot be edited"
    for comment in script.comments:
        if is_decision(comment.text):
            yield Finding("undecided", comment.line, message, comment.line)


CHECKS: list[Check] = [_undecided]
