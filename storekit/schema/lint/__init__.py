"""The linter of migration files. It needs no server, and has rules that squawk does not have."""

from __future__ import annotations

from collections.abc import Iterable

from storekit.schema.lint import allowances, bodies, tables, transactions
from storekit.schema.lint.allowances import accept
from storekit.schema.lint.finding import Finding
from storekit.schema.lint.script import NO_TRANSACTION, Known, Script, is_marked
from storekit.schema.lint.transactions import concurrent_index, transaction_end

__all__ = ["NO_TRANSACTION", "Finding", "concurrent_index", "is_marked", "lint", "transaction_end"]

_CHECKS = [*bodies.CHECKS, *allowances.CHECKS, *tables.CHECKS, *transactions.CHECKS]


def lint(texts: Iterable[str]) -> list[list[Finding]]:
    """Return the findings of each migration file, given in the order in which they are applied.

    Earlier files show which tables exist and which are managed. A table that no file creates may be managed.
    """
    known = Known()
    return [_lint(Script(text, known)) for text in texts]


def _lint(script: Script) -> list[Finding]:
    found = [finding for check in _CHECKS for finding in check(script)]
    return sorted(accept(found, script), key=lambda finding: (finding.line, finding.rule))
