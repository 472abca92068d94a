"""The transaction of a file: statements that would end it, and statements without one that may run twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding, about
from storekit.schema.lint.lexer import lex
from storekit.schema.lint.script import Script
from storekit.schema.lint.statement import NAME, TABLE, Statement, statements

_ENDS = re.compile(
    r"(?:begin|start transaction|commit|end|abort|prepare transaction"
    r"|rollback(?! (?:work |transaction )?to ))(?: |$)"
)
_REPEATABLE = re.compile(
    r"create .*\bif not exists |drop .*\bif exists |alter type .* add value if not exists "
    r"|(?:vacuum|analyze|reindex|cluster|refresh|alter system)\b"
)
_CONCURRENT_INDEX = re.compile(
    rf"create (?:unique )?index concurrently (?:if not exists )?({NAME}) on (?:only )?({TABLE})"
)


def transaction_end(text: str) -> int | None:
    """Return the line of a statement that would end the transaction, which also records the file."""
    return next((s.line for s in _parse(text) if _ends(s)), None)


def concurrent_index(text: str) -> tuple[str, str] | None:
    """Return the index and the table of the CREATE INDEX CONCURRENTLY in a file."""
    matches = (_CONCURRENT_INDEX.match(statement.text) for statement in _parse(text))
    return next(((match[1], match[2]) for match in matches if match), None)


def _parse(text: str) -> Iterator[Statement]:
    return statements([token for token in lex(text) if token.kind != "comment"])


def _ends(statement: Statement) -> bool:
    return not statement.nested and _ENDS.match(statement.text) is not None


def _repeats(script: Script) -> Iterator[Finding]:
    for statement in script.own if script.marked else ():
        if not _REPEATABLE.match(statement.text):
            yield about(
                "repeatable",
                statement,
                "after a crash before it is recorded it runs again; write IF NOT EXISTS, or IF EXISTS",
            )


CHECKS: list[Check] = [_repeats]
