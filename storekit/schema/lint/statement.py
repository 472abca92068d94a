"""Statements of a migration file, normalized so that rules can match them with patterns."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from storekit.schema.lint.lexer import Token, lex, spell

NAME = r'(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
TABLE = rf"{NAME}(?:\.{NAME})?"
_ROUTINE = re.compile(r"create (?:or replace )?(?:function|procedure) ")
_ALTER_TABLE = re.compile(rf"alter (?:foreign )?table (?:if exists )?(?:only )?({TABLE})(?: \*)? ")
_PLAIN_NAME = re.compile(r'"([a-z_][a-z0-9_$]*)"')


@dataclass(frozen=True)
class Statement:
    """One statement, or the body of a routine, in the normal form of `spell`."""

    tokens: tuple[Token, ...]
    nested: bool = False

    @cached_property
    def _spelled(self) -> tuple[str, list[int]]:
        return spell(self.tokens)

    @property
    def text(self) -> str:
        return self._spelled[0]

    @property
    def line(self) -> int:
        return self.tokens[0].line

    def line_at(self, offset: int) -> int:
        """Return the line of the token at an offset of `text`."""
        return self.tokens[bisect_right(self._spelled[1], offset) - 1].line

    @cached_property
    def flat(self) -> str:
        """`text`, with blanks in place of text in parentheses."""
        depth, flat = 0, list(self.text)
        for at, sign in enumerate(flat):
            depth -= sign == ")"
            if depth > 0:
                flat[at] = " "
            depth += sign == "("
        return "".join(flat)

    @cached_property
    def code(self) -> tuple[Statement, ...]:
        """The bodies of a routine or a DO block, and the quoted code within them."""
        return tuple(_bodies(self.tokens, quotes=True)) if self.is_routine or self.is_block else ()

    @property
    def is_routine(self) -> bool:
        return _ROUTINE.match(self.text) is not None

    @property
    def is_block(self) -> bool:
        return self.text.startswith("do ")


def _bodies(tokens: Sequence[Token], *, quotes: bool = False) -> Iterator[Statement]:
    """Yield dollar-quoted code at any depth. A plain literal is code only after AS or DO."""
    for at, token in enumerate(tokens):
        quoted = token.kind == "string" and quotes and tokens[at - 1].text in {"as", "do"}
        if token.kind == "body" or quoted:
            inner = tuple(t for t in lex(token.text, token.line) if t.kind != "comment")
            if inner:
                yield Statement(inner, nested=True)
            yield from _bodies(inner)


def statements(tokens: Sequence[Token]) -> Iterator[Statement]:
    """Yield the statements of a file, including those in DO blocks."""
    for statement in _split(tokens, frozenset()):
        yield statement
        for body in statement.code if statement.is_block else ():
            yield from _split(body.tokens, frozenset({"begin", "then", "else", "loop"}), nested=True)


def _split(tokens: Sequence[Token], openers: frozenset[str], *, nested: bool = False) -> Iterator[Statement]:
    start = depth = 0
    for at, token in enumerate(tokens):
        depth += _depth(tokens, start, at, in_atomic=depth > 0)
        opens = token.kind == "word" and token.text in openers
        if depth == 0 and (opens or token == ("sign", ";", token.line)):
            if at > start:
                yield Statement(tuple(tokens[start:at]), nested)
            start = at + 1
    if start < len(tokens):
        yield Statement(tuple(tokens[start:]), nested)


def _depth(tokens: Sequence[Token], start: int, at: int, *, in_atomic: bool) -> int:
    """Return the change of depth at a token: parentheses, BEGIN ATOMIC and CASE within it, END."""
    kind, text, _ = tokens[at]
    if kind == "sign":
        return {"(": 1, ")": -1}.get(text, 0)
    if kind != "word" or tokens[start][:2] != ("word", "create"):
        return 0
    if text == "atomic" and tokens[at - 1].text == "begin":
        return 1
    if in_atomic and text in {"case", "end"}:
        return 1 if text == "case" else -1
    return 0


@dataclass(frozen=True)
class Action:
    """One action of an ALTER TABLE: `text` and `flat` as in a statement."""

    table: str
    text: str
    flat: str
    line: int


def actions(statement: Statement) -> Iterator[Action]:
    """Yield the actions of an ALTER TABLE, for example to drop a column."""
    match = _ALTER_TABLE.match(statement.text)
    if match is None:
        return
    start = match.end()
    for end in [*(c.start() for c in re.finditer(" , ", statement.flat)), len(statement.text)]:
        yield Action(
            canonical(match[1]),
            statement.text[start:end],
            statement.flat[start:end],
            statement.line_at(start),
        )
        start = end + 3


def arguments(text: str) -> list[str]:
    """Return the arguments of a call, given the text after its opening parenthesis."""
    found, depth, start = list[str](), 0, 0
    for at, sign in enumerate(text):
        if depth == 0 and sign in ",)":
            found.append(text[start:at].strip())
            start = at + 1
            if sign == ")":
                break
        depth += {"(": 1, ")": -1}.get(sign, 0)
    return found


def canonical(table: str) -> str:
    """Return the canonical name of a table: with its schema, quoted only if necessary.

    >>> canonical('"notes"'), canonical('billing."Odd"')
    ('public.notes', 'billing."Odd"')
    """
    name = _PLAIN_NAME.sub(r"\1", table)
    return name if re.fullmatch(rf"{NAME}\.{NAME}", name) else f"public.{name}"
