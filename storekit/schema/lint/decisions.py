"""Decisions that `storekit schema diff` left to a person, and that nobody has made."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding
from storekit.schema.lint.script import Script

_MARK = re.compile(r"-- *storekit: *decide\b")


def is_decision(comment: str) -> bool:
    """Tell whether a comment heads a decision: `-- storekit: decide: <what>`."""
    return _MARK.match(comment) is not None


def _undecided(script: Script) -> Iterator[Finding]:
    message = "write SQL in place of this comment, or take it out: once applied the file cannot be edited"
    for comment in script.comments:
        if is_decision(comment.text):
            yield Finding("undecided", comment.line, message, comment.line)


CHECKS: list[Check] = [_undecided]
