"""Findings of the linter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from storekit.schema.lint.script import Script
from storekit.schema.lint.statement import Action, Statement


@dataclass(frozen=True, slots=True)
class Finding:
    """An unsafe statement in a migration: the rule, the line, and what to write instead."""

    rule: str
    line: int
    message: str
    begins: int = field(compare=False)
    """The first line of the statement: an allowance may be on the line before it, too."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.rule}: {self.message}"


Check = Callable[[Script], Iterator[Finding]]


def about(rule: str, statement: Statement, message: str, offset: int = 0) -> Finding:
    """Return a finding for a statement, at an offset of its text."""
    return Finding(rule, statement.line_at(offset), message, statement.line)


def about_action(rule: str, script: Script, at: int, action: Action, message: str) -> Finding:
    """Return a finding for one action of an ALTER TABLE."""
    return Finding(rule, action.line, message, script.statements[at].line)
