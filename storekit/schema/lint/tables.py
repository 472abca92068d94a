"""Rules about tables in use: changes that require `manage`, and faults that squawk does not find."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding, about, about_action
from storekit.schema.lint.script import Script
from storekit.schema.lint.statement import NAME, TABLE, canonical

_COLUMN = rf"(?:column )?{NAME}"
_ADD_COLUMN = (
    r"add (?:column )?(?:if not exists )?(?!(?:constraint|foreign|check|unique|primary|exclude|not) )"
)
_CHECKED_COLUMN = re.compile(rf"{_ADD_COLUMN}.*(?<!')\bcheck\b")
_CHANGES_COLUMNS = re.compile(
    rf"{_ADD_COLUMN}|drop (?!constraint )|rename (?!constraint |to )|alter {_COLUMN} "
    r"(?:type |set data |add generated |(?:set|drop) (?:default|not null|expression|identity)\b)"
)
_DECLARES = re.compile(r"(?:insert into|update|delete from) storekit\.(?:field|move)\b")
_SET_NULL = re.compile(r"\bon delete set (?:null|default)\b(?! \()")
_CHANGES_ROWS = re.compile(rf"(?:update|delete from) (?:only )?({TABLE})(?: |$)")
_LIFTS = re.compile(r"(?:no force|disable) row level security")
_TRUNCATE = re.compile(r"truncate (?:table )?(?:only )?(.*)")
# squawk does not read the body of a DO block.
_UNREAD = re.compile(
    r"(?:alter (?:foreign )?table (?:if exists )?(?:only )?|create (?:unique )?index .*?\bon (?:only )?)"
    rf"({TABLE})|(?:alter|drop(?! owned)|reindex) "
)


def _losses(script: Script) -> Iterator[Finding]:
    for at, statement in enumerate(script.statements):
        if (match := _TRUNCATE.match(statement.text)) and not all(
            script.is_new(canonical(name), at) for name in re.findall(TABLE, match[1])
        ):
            yield about("truncate", statement, "TRUNCATE runs no trigger, so it writes no event; use DELETE")
        if statement.text.startswith("drop owned "):
            message = "it drops all tables and grants of a role; drop them one by one"
            yield about("drop-owned", statement, message)


def _do_blocks(script: Script) -> Iterator[Finding]:
    for at, statement in enumerate(script.statements):
        match = _UNREAD.match(statement.text) if statement.nested else None
        if match and not (match[1] and script.is_new(canonical(match[1]), at)):
            message = "squawk does not read DO blocks; write the statement outside the block"
            yield about("do-block", statement, message)


def _checked_columns(script: Script) -> Iterator[Finding]:
    for at, action in script.actions:
        if not script.is_new(action.table, at) and _CHECKED_COLUMN.match(action.flat):
            message = (
                "it checks all rows while writers wait; add the column without the CHECK, then the "
                "constraint NOT VALID, and VALIDATE CONSTRAINT in the next file"
            )
            yield about_action("not-valid", script, at, action, message)


def _managed(script: Script) -> Iterator[Finding]:
    """Require a call of manage() after a change of columns, because its triggers contain the columns."""
    reported = set[str]()
    for at, action in script.actions:
        table = action.table
        stale = script.is_managed(table, at) and not script.is_managed_after(table, at)
        if stale and table not in reported and _CHANGES_COLUMNS.match(action.flat):
            reported.add(table)
            call = f"SELECT storekit.manage('{table}')"
            message = f"triggers, grants and the write function have the old columns; end with {call}"
            yield about_action("manage", script, at, action, message)
    for at, statement in enumerate(script.statements):
        if _DECLARES.match(statement.text) and not script.is_managed_after(None, at):
            message = (
                "a declaration takes effect at the next storekit.manage() of its table; call it after this"
            )
            yield about("manage", statement, message)


def _set_null(script: Script) -> Iterator[Finding]:
    for statement in script.statements:
        for match in _SET_NULL.finditer(statement.text):
            message = "this would also set the tenant to null; write the column: SET NULL (column)"
            yield about("set-null", statement, message, match.start())


def _backfills(script: Script) -> Iterator[Finding]:
    """Require that a change of rows sees them, and that it does not rewrite a whole table at once."""
    lifted = set[str]()
    for at, statement in enumerate(script.statements):
        lifted |= {
            action.table for where, action in script.actions if where == at and _LIFTS.match(action.text)
        }
        match = _CHANGES_ROWS.match(statement.text)
        if match is None:
            continue
        table = canonical(match[1])
        if script.is_new(table, at) or not script.is_managed(table, at) or table.startswith("storekit."):
            continue
        if table not in lifted:
            message = (
                "row-level security hides all rows from the owner; before it, write ALTER TABLE "
                f"{table} NO FORCE ROW LEVEL SECURITY, and after it SELECT storekit.manage('{table}')"
            )
            yield about("hidden-rows", statement, message)
        if not re.search(r"\bwhere\b", statement.text):
            message = (
                "it locks every row of the table and writes an event for each; add WHERE, so that it changes "
                "only the rows that need it"
            )
            yield about("whole-table", statement, message)


CHECKS: list[Check] = [_managed, _backfills, _set_null, _losses, _do_blocks, _checked_columns]
