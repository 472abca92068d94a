"""Split SQL into tokens, to distinguish words from comments, literals and bodies of functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<body>\$(?:[^\W\d]\w*)?\$)
    | (?P<string>e'(?:[^'\\]|\\.|'')*'?|(?:u&|[bxn])?'(?:[^']|'')*'?)
    | (?P<name>(?:u&)?"(?:[^"]|"")*"?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
# Literals that a rule may need to read: names of tables or settings.
_PLAIN = re.compile(r'[\w."]*')


class Token(NamedTuple):
    """A token of SQL. The `text` of a string or body is without its quotes; words are in lower case."""

    kind: str
    text: str
    line: int


def lex(text: str, line: int = 1) -> Iterator[Token]:
    """Split SQL into tokens and comments. An unterminated comment or literal ends with the text."""
    at = 0
    while match := _TOKEN.match(text, at):
        kind, found = str(match.lastgroup), match[0]
        at = match.end()
        if kind == "block":
            kind, at = "comment", _end_of_block(text, at)
        elif kind == "body":
            end = text.find(found, at)
            found, at = (text[at:end], end + len(found)) if end >= 0 else (text[at:], len(text))
        if kind != "space":
            yield Token(kind, _content(kind, found), line)
        line += text.count("\n", match.start(), at)


def _end_of_block(text: str, at: int) -> int:
    depth = 1
    for edge in _BLOCK_EDGE.finditer(text, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(text)


def _content(kind: str, found: str) -> str:
    match kind:
        case "word":
            return found.lower()
        case "string":
            return found.partition("'")[2].removesuffix("'").replace("''", "'")
    return found


def spell(tokens: Iterable[Token]) -> tuple[str, list[int]]:
    """Return tokens in a normal form, which rules match, and the offset at which each begins.

    Tokens are separated by one space, except at a dot. A literal is empty unless it looks like a name.

    >>> spell(lex("SELECT  Storekit.MANAGE('public.notes')-- now"))[0]
    "select storekit.manage ( 'public.notes' )"
    """
    text, offsets = "", list[int]()
    for token in tokens:
        if token.kind == "comment":
            continue
        spelling = _spelling(token)
        if text and spelling != "." and not text.endswith("."):
            text += " "
        offsets.append(len(text))
        text += spelling
    return text, offsets


def _spelling(token: Token) -> str:
    match token.kind:
        case "string":
            return f"'{token.text}'" if _PLAIN.fullmatch(token.text) else "''"
        case "body":
            return "$$"
    return token.text
