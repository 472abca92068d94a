"""A migration file, and the state at each of its statements: new tables and managed tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from storekit.schema.lint.lexer import Token, lex
from storekit.schema.lint.statement import TABLE, Statement, actions, canonical, statements

NO_TRANSACTION = "-- storekit: no transaction"
_CREATE_TABLE = re.compile(
    rf"create (?:(?:global|local|temporary|temp|unlogged|foreign) )*table (?:if not exists )?({TABLE})"
)
_CALL = re.compile(r"(?:select|perform|with) ")
_MANAGE = re.compile(r"(?<![\w.\"])storekit\.manage \( (?:'([\w.\"]+)'|\S)")
_EVERY = "*"


@dataclass
class Known:
    """The tables that earlier files created, and those that are managed."""

    created: set[str] = field(default_factory=set)
    managed: set[str] = field(default_factory=set)


class Script:
    """A migration file, parsed once for all rules."""

    def __init__(self, text: str, known: Known) -> None:
        tokens = list(lex(text))
        self.marked = is_marked(text)
        self.comments = list(_comments(tokens))
        self.statements = list(statements([token for token in tokens if token.kind != "comment"]))
        self.own = [statement for statement in self.statements if not statement.nested]
        self.actions = [(at, each) for at, s in enumerate(self.statements) for each in actions(s)]
        self._tables: dict[str, int] = {}
        self._managed: list[tuple[str, int]] = []
        for at, statement in enumerate(self.statements):
            if match := _CREATE_TABLE.match(statement.text):
                self._tables.setdefault(canonical(match[1]), at)
            self._managed += [(table, at) for table in _managed(statement)]
        self._known = known
        known.created |= self._tables.keys()
        known.managed |= {table for table, _ in self._managed}

    def is_new(self, table: str, at: int) -> bool:
        """Return whether this file created the table before a statement, so that it is not in use yet."""
        return self._tables.get(table, at) < at

    def is_managed(self, table: str, at: int) -> bool:
        """Return whether a table may be managed. A table that no known file created may be."""
        if self.is_new(table, at):
            return any(where < at and managed == table for managed, where in self._managed)
        return table in self._known.managed or table not in self._known.created

    def is_managed_after(self, table: str | None, at: int) -> bool:
        """Return whether manage() is called after a statement, for a table, or for any if None."""
        return any(
            where > at and (table is None or managed in {table, _EVERY}) for managed, where in self._managed
        )


def is_marked(text: str) -> bool:
    """Return whether the first line of the file excludes it from a transaction."""
    return text.partition("\n")[0].rstrip() == NO_TRANSACTION


def _comments(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.kind == "comment":
            yield token
        elif token.kind == "body":
            yield from _comments(lex(token.text, token.line))


def _managed(statement: Statement) -> Iterator[str]:
    if _CALL.match(statement.text):
        for call in _MANAGE.finditer(statement.text):
            yield canonical(call[1]) if call[1] else _EVERY
