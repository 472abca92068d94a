"""Rules about tables in use: what keeps writers waiting, loses data, or breaks the code that runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding, about, about_action
from storekit.schema.lint.script import NO_TRANSACTION, Script
from storekit.schema.lint.statement import NAME, TABLE, canonical

_COLUMN = rf"(?:column )?{NAME}"
_ADD_COLUMN = (
    r"add (?:column )?(?:if not exists )?(?!(?:constraint|foreign|check|unique|primary|exclude|not) )"
)
_ALONE = f"in a file of its own whose first line is {NO_TRANSACTION}"

# Matched with the start of an action of ALTER TABLE, on a table that its file did not make.
_ACTIONS = [
    (
        "add-not-null",
        rf"{_ADD_COLUMN}(?!.*\b(?:default|generated|(?:big|small)?serial)\b).*(?<!is )\bnot null",
        "a table with rows refuses a NOT NULL column without a DEFAULT; give it a constant one",
    ),
    (
        "set-not-null",
        rf"alter {_COLUMN} set not null|add (?:constraint {NAME} )?not null (?!.*not valid)",
        "it reads every row while all wait; add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in the "
        "next file, then allow this: the check is taken for proof",
    ),
    (
        "alter-type",
        rf"alter {_COLUMN} (?:set data )?type ",
        "it may rewrite the table while all wait; add a column of the new type, fill it, "
        "let the code move over",
    ),
    (
        "not-valid",
        rf"add (?:constraint {NAME} )?(?:foreign key|check)\b(?!.*not valid)",
        "it reads every row while writers wait; add it NOT VALID, and VALIDATE CONSTRAINT in the next file",
    ),
    (
        "not-valid",
        rf"{_ADD_COLUMN}.*(?<!')\b(?:references|check)\b",
        "it is checked at once while writers wait; add the column without it, then the constraint NOT VALID",
    ),
    (
        "concurrently",
        rf"(?:{_ADD_COLUMN}.*|add (?:constraint {NAME} )?)(?<!')\b(?:unique|primary key|exclude)\b"
        r"(?!.*using index)",
        f"it builds an index while all wait; CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {_ALONE}, then "
        "ADD CONSTRAINT ... USING INDEX",
    ),
    (
        "drop",
        r"drop (?!constraint )",
        "code that runs reads it, and its values are gone; release code without it first, then allow this",
    ),
    (
        "rename",
        r"rename (?!constraint )|set schema ",
        "code that runs knows the old name; add the new one beside it, fill it, let the code move over",
    ),
]
_CHANGES_COLUMNS = re.compile(
    rf"{_ADD_COLUMN}|drop (?!constraint )|rename (?!constraint |to )|alter {_COLUMN} "
    r"(?:type |set data |add generated |(?:set|drop) (?:default|not null|expression|identity)\b)"
)
_OF_TENANTS = re.compile(r'create (?!(?:(?:global|local) )?temp(?:orary)? ).*[(,] "?tenant_id"? [a-z"]')
_DECLARES = re.compile(r"(?:insert into|update|delete from) storekit\.(?:field|move)\b")
_INDEX = re.compile(
    rf"create (?:unique )?index (?!concurrently )(?:if not exists )?(?:{NAME} )?on (?:only )?({TABLE})"
)
_OTHER_INDEX = re.compile(r"drop index (?!concurrently )|reindex (?!.*concurrently)")
_TRUNCATE = re.compile(r"truncate (?:table )?(?:only )?")
_RENAME = re.compile(
    r"alter (?:view|materialized view|type|domain|function|procedure|schema|sequence) "
    r".*(?:rename|set schema) "
)
_DROP = re.compile(
    r"drop (table|foreign table|materialized view|view|schema|type|domain|function|procedure|routine"
    r"|aggregate|sequence|extension|trigger|policy|owned) (?:if exists )?"
)


def _actions(script: Script) -> Iterator[Finding]:
    for at, action in script.actions:
        for rule, pattern, message in _ACTIONS:
            if not script.is_new(action.table, at) and re.match(pattern, action.flat):
                yield about_action(rule, script, at, action, message)


def _managed(script: Script) -> Iterator[Finding]:
    """What manage() has written knows the table's columns, so it must be called again."""
    told = set[str]()
    for at, action in script.actions:
        table = action.table
        stale = script.is_managed(table, at) and not script.is_managed_after(table, at)
        if stale and table not in told and _CHANGES_COLUMNS.match(action.flat):
            told.add(table)
            call = f"SELECT storekit.manage('{table}')"
            message = f"triggers, grants and writer know the old columns; end with {call}"
            yield about_action("manage", script, at, action, message)
    for at, statement in enumerate(script.statements):
        if _DECLARES.match(statement.text) and not script.is_managed_after(None, at):
            message = (
                "a declaration holds from the next storekit.manage() of its table on; call it after this"
            )
            yield about("manage", statement, message)


def _unmanaged(script: Script) -> Iterator[Finding]:
    for table, at in script.made:
        # storekit's own tables have walls of their own
        if table.startswith("storekit.") or script.is_managed_after(table, at):
            continue
        if _OF_TENANTS.match(script.statements[at].text):
            message = f"nothing keeps its tenants apart; end with SELECT storekit.manage('{table}')"
            yield about("manage", script.statements[at], message)


def _indexes(script: Script) -> Iterator[Finding]:
    for at, statement in enumerate(script.statements):
        match = _INDEX.match(statement.text)
        if match and not script.is_new(canonical(match[1]), at):
            message = f"writers wait while it is built; CREATE INDEX CONCURRENTLY IF NOT EXISTS {_ALONE}"
            yield about("concurrently", statement, message)
        elif _OTHER_INDEX.match(statement.text):
            yield about("concurrently", statement, f"all wait for it; write it CONCURRENTLY {_ALONE}")


def _losses(script: Script) -> Iterator[Finding]:
    for at, statement in enumerate(script.statements):
        if _RENAME.match(statement.flat):
            message = "code that runs knows the old name; make the new one beside it, let the code move over"
            yield about("rename", statement, message)
        if (match := _TRUNCATE.match(statement.text)) and not _all_ours(script, at, "table", match.end()):
            message = "it goes past events and what keeps rows; DELETE those that must go"
            yield about("truncate", statement, message)
        if (match := _DROP.match(statement.text)) and not _all_ours(script, at, match[1], match.end()):
            message = "code that runs may use it; release code without it first, then allow this"
            yield about("drop", statement, message)


def _all_ours(script: Script, at: int, kind: str, start: int) -> bool:
    """Tell whether the file made the tables that a list names, or makes again the objects."""
    for item in script.statements[at].flat[start:].split(" , "):
        match = re.match(TABLE, item)
        name = canonical(match[0]) if match else item
        if not script.is_new(name, at) and (kind, name) not in script.objects:
            return False
    return True


CHECKS: list[Check] = [_actions, _managed, _unmanaged, _indexes, _losses]
