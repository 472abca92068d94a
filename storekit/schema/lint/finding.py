"""Findings of the linter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from storekit.schema.lint.script import Script
from storekit.schema.lint.statement import Action, Statement


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unsafe in a migration: by which rule, on which line, and what to write instead."""

    rule: str
    line: int
    message: str
    begins: int = field(compare=False)
    """The line on which the statement begins; an allowance may be on the line before that too."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.rule}: {self.message}"


Check = Callable[[Script], Iterator[Finding]]


def about(rule: str, statement: Statement, message: str, offset: int = 0) -> Finding:
    """Return a finding about a statement, at an offset of its text."""
    return Finding(rule, statement.line_at(offset), message, statement.line)


def about_action(rule: str, script: Script, at: int, action: Action, message: str) -> Finding:
    """Return a finding about one action of an ALTER TABLE."""
    return Finding(rule, action.line, message, script.statements[at].line)
