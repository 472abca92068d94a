"""Rules about code at any depth: statements, bodies of routines, and the code quoted within them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding
from storekit.schema.lint.script import Script
from storekit.schema.lint.statement import Statement, arguments

_CLOCK = re.compile(
    r"(?<![\w.\"$])(?:pg_catalog\.)?(?:(?:now|(?:clock|transaction|statement)_timestamp|timeofday) \("
    r"|(?:current_(?:timestamp|date|time)|localtime(?:stamp)?)\b)|(?:timestamptz|timestamp|date) 'now'"
    r"|'now' : : (?:timestamptz|timestamp|date)\b"
)
_DEFINES_CLOCK = re.compile(r"create (?:or replace )?function storekit\.now \(")
_SET = re.compile(r'\bset (?:session )?"?storekit"?\.')
_SET_CONFIG = re.compile(r"\bset_config \( (?='storekit\.)", re.IGNORECASE)


def _clock(script: Script) -> Iterator[Finding]:
    for statement in script.own:
        if not _DEFINES_CLOCK.match(statement.text):
            for code in (statement, *statement.code):
                for match in _CLOCK.finditer(code.text):
                    yield _found(
                        "clock", statement, code, match, "tests set the clock of storekit; use storekit.now()"
                    )


def _settings(script: Script) -> Iterator[Finding]:
    message = "a pooled session keeps it for its next user; write set_config('storekit...', ..., true)"
    for statement in script.own:
        for code in (statement, *statement.code):
            # a SET clause of a routine ends with the call
            if code is not statement or not statement.is_routine:
                for match in _SET.finditer(code.text):
                    yield _found("session-setting", statement, code, match, message)
            for match in _SET_CONFIG.finditer(code.text):
                if arguments(code.text[match.end() :])[2:] != ["true"]:
                    yield _found("session-setting", statement, code, match, message)


def _found(rule: str, statement: Statement, code: Statement, match: re.Match[str], message: str) -> Finding:
    return Finding(rule, code.line_at(match.start()), message, statement.line)


CHECKS: list[Check] = [_clock, _settings]
