"""Rules about tables in use: when `manage` must be called, and what squawk does not find."""

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
_OF_TENANTS = re.compile(r'create (?!(?:(?:global|local) )?temp(?:orary)? ).*[(,] "?tenant_id"? [a-z"]')
_DECLARES = re.compile(r"(?:insert into|update|delete from) storekit\.(?:field|move)\b")
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
                "all rows are checked while writers wait; add the column without the CHECK, then the "
                "constraint NOT VALID, and VALIDATE CONSTRAINT in the next file"
            )
            yield about_action("not-valid", script, at, action, message)


def _managed(script: Script) -> Iterator[Finding]:
    """Find changed columns without a call of manage(), which creates functions and grants for the columns."""
    told = set[str]()
    for at, action in script.actions:
        table = action.table
        stale = script.is_managed(table, at) and not script.is_managed_after(table, at)
        if stale and table not in told and _CHANGES_COLUMNS.match(action.flat):
            told.add(table)
            call = f"SELECT storekit.manage('{table}')"
            message = f"the triggers, grants and write function are for the old columns; end with {call}"
            yield about_action("manage", script, at, action, message)
    for at, statement in enumerate(script.statements):
        if _DECLARES.match(statement.text) and not script.is_managed_after(None, at):
            message = "a declaration takes effect with storekit.manage() of its table; call it after this"
            yield about("manage", statement, message)


def _unmanaged(script: Script) -> Iterator[Finding]:
    for table, at in script.made:
        # the tables of storekit have their own policies
        if table.startswith("storekit.") or script.is_managed_after(table, at):
            continue
        if _OF_TENANTS.match(script.statements[at].text):
            message = f"nothing separates its tenants; end with SELECT storekit.manage('{table}')"
            yield about("manage", script.statements[at], message)


CHECKS: list[Check] = [_managed, _unmanaged, _losses, _do_blocks, _checked_columns]
