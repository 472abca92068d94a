"""Comments of storekit: allowances with a reason, and open decisions.

    -- storekit: allow <rule>: <why>
    -- storekit: decide: <what>

`storekit schema diff` writes the second kind, which a person must replace with SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storekit.schema.lint.finding import Check, Finding
from storekit.schema.lint.script import NO_TRANSACTION, Script

_DIRECTIVE = re.compile(r"-- *storekit:")
# squawk reads only the line directly above a statement, so an allowance can be above a comment for squawk.
_OF_SQUAWK = re.compile(r"-- *squawk-ignore ")
_DECIDE = re.compile(r"-- *storekit: *decide\b")
_ALLOW = re.compile(r"-- *storekit: *allow +([a-z-]+): *(\S.*)")


@dataclass(frozen=True, slots=True)
class _Allowance:
    rule: str
    line: int
    target: int
    """The line that it allows: the next one that is neither an allowance nor a comment for squawk."""

    def covers(self, finding: Finding) -> bool:
        return self.rule == finding.rule and self.target in {finding.line, finding.begins}


def accept(findings: Sequence[Finding], script: Script) -> Iterator[Finding]:
    """Yield the findings that are not allowed. An allowance without a finding or reason is a finding."""
    directives = {
        comment.line: comment.text
        for comment in script.comments
        if _DIRECTIVE.match(comment.text) and not _DECIDE.match(comment.text)
    }
    skipped = {*directives, *(c.line for c in script.comments if _OF_SQUAWK.match(c.text))}
    allowances = list[_Allowance]()
    for line, text in directives.items():
        if match := _ALLOW.fullmatch(text.rstrip()):
            target = next(n for n in range(line + 1, line + len(skipped) + 2) if n not in skipped)
            allowances.append(_Allowance(match[1], line, target))
        elif not (script.marked and line == 1):
            message = (
                f"invalid comment; write -- storekit: allow <rule>: <why>, or, on line 1, {NO_TRANSACTION}"
            )
            yield Finding("allow", line, message, line)
    for finding in findings:
        if not any(allowance.covers(finding) for allowance in allowances):
            yield finding
    for allowance in allowances:
        if not any(map(allowance.covers, findings)):
            message = f"the next line has no finding {allowance.rule}; remove the comment"
            yield Finding("allow", allowance.line, message, allowance.line)


def _undecided(script: Script) -> Iterator[Finding]:
    message = "uncomment or write the SQL, then delete this line: an applied file cannot be edited"
    for comment in script.comments:
        if _DECIDE.match(comment.text):
            yield Finding("undecided", comment.line, message, comment.line)


CHECKS: list[Check] = [_undecided]
