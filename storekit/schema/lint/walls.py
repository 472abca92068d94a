"""Rules about who may see and change what: policies, owners, grants, definer functions, views."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding, about, about_action
from storekit.schema.lint.script import Script
from storekit.schema.lint.statement import NAME, TABLE, Action, canonical

# Matched with the start of a statement; what is wrong is the last group.
_STATEMENTS = [
    (
        "definer-path",
        r"(?:create (?:or replace )?|alter )(?:function|procedure|routine) (?!.* set search_path )"
        r".* (security definer)\b",
        "its caller chooses what its names mean; add SET search_path = pg_catalog, storekit, pg_temp",
    ),
    (
        "grant-public",
        rf"(?:alter default privileges .*)?grant .* to (?:{NAME} , )*(public)(?![\w.])",
        "PUBLIC is every login of the cluster; name the role",
    ),
    (
        "owner",
        r"alter .* (owner to) (?!storekit_)|reset (?:role|session authorization)"
        r"|set (?:local |session )*(?:session authorization|role (?!storekit_))",
        "what belongs to a login is seen past all policies; leave everything to storekit_owner",
    ),
    (
        "view-invoker",
        r"create materialized view |alter (?:materialized )?view .* (?:reset \( .*security_invoker"
        r"|security_invoker = '?(?:false|off|0|no))",
        "it shows rows that its reader's policies would hide; make a view WITH (security_invoker = true)",
    ),
]
_VIEW = re.compile(rf"create (?:(?:or replace|temp|temporary|recursive) )*view ({TABLE})")
_INVOKER = re.compile(r"with \(.* security_invoker(?: = '?(?:true|on|1|yes)'?)? [,)]")
_SET_NULL = re.compile(r"\bon delete set (?:null|default)\b(?! \()")
_ADD_KEY = re.compile(rf"add (?:constraint {NAME} )?foreign key (?!.*not valid).* references ({TABLE})")
_VALIDATE = re.compile(rf"validate constraint ({NAME})")


def _statements(script: Script) -> Iterator[Finding]:
    for statement in script.statements:
        for rule, pattern, message in _STATEMENTS:
            if match := re.match(pattern, statement.text):
                yield about(rule, statement, message, max(match.start(match.lastindex or 0), 0))
        for match in _SET_NULL.finditer(statement.text):
            message = "it would null the tenant too; name the column: SET NULL (column)"
            yield about("set-null", statement, message, match.start())


def _views(script: Script) -> Iterator[Finding]:
    for statement in script.statements:
        head = statement.text.partition(" as ")[0]
        view = _VIEW.match(head)
        # those of schema report read all tenants on purpose: nobody but report.read_v1 reads them
        if view and not _INVOKER.search(head) and not canonical(view[1]).startswith("report."):
            message = "it reads with its owner's rights, not its reader's; add WITH (security_invoker = true)"
            yield about("view-invoker", statement, message)


def _row_security(script: Script) -> Iterator[Finding]:
    for at, action in script.actions:
        if action.text.startswith("disable row level"):
            message = "every login would see the rows of all tenants; leave it on"
            yield about_action("disable-rls", script, at, action, message)
        if action.text.startswith("no force row") and not _is_forced_after(script, action.table, at):
            message = f"it stays lifted; end with ALTER TABLE {action.table} FORCE ROW LEVEL SECURITY"
            yield about_action("no-force", script, at, action, message)


def _is_forced_after(script: Script, table: str, at: int) -> bool:
    return script.is_managed_after(table, at) or any(
        where > at and action.table == table and action.text.startswith("force row")
        for where, action in script.actions
    )


def _hidden_rows(script: Script) -> Iterator[Finding]:
    """A foreign key is checked as the owner, whom FORCE blinds."""
    for at, action in script.actions:
        blind = [table for table in _read(script, action) if script.hides_rows(table, at)]
        if blind:
            yield about_action(
                "hidden-rows",
                script,
                at,
                action,
                f"the owner, who checks it, sees no row of {' and '.join(blind)}; before it ALTER TABLE ... "
                "NO FORCE ROW LEVEL SECURITY, for the table it refers to as well, after it FORCE again",
            )


def _read(script: Script, action: Action) -> list[str]:
    if key := _ADD_KEY.match(action.flat):
        return list(dict.fromkeys([action.table, canonical(key[1])]))
    check = _VALIDATE.match(action.flat)
    return script.read_by(check[1], action.table) if check else []


CHECKS: list[Check] = [_statements, _views, _row_security, _hidden_rows]
