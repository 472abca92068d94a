"""What the linter has to say."""

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
    """The line on which the statement begins: an allowance may stand before it too."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.rule}: {self.message}"


Check = Callable[[Script], Iterator[Finding]]


def about(rule: str, statement: Statement, message: str, offset: int = 0) -> Finding:
    """Find fault with a statement, at an offset of its text."""
    return Finding(rule, statement.line_at(offset), message, statement.line)


def about_action(rule: str, script: Script, at: int, action: Action, message: str) -> Finding:
    """Find fault with one action of an ALTER TABLE."""
    return Finding(rule, action.line, message, script.statements[at].line)
