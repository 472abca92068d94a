"""Rules about foreign keys within a tenant. Policies, owners, grants and views are checked in the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storekit.schema.lint.finding import Check, Finding, about, about_action
from storekit.schema.lint.script import Script
from storekit.schema.lint.statement import NAME, TABLE, Action, canonical

_SET_NULL = re.compile(r"\bon delete set (?:null|default)\b(?! \()")
_ADD_KEY = re.compile(rf"add (?:constraint {NAME} )?foreign key (?!.*not valid).* references ({TABLE})")
_VALIDATE = re.compile(rf"validate constraint ({NAME})")


def _set_null(script: Script) -> Iterator[Finding]:
    for statement in script.statements:
        for match in _SET_NULL.finditer(statement.text):
            message = "it would set tenant_id to NULL too; name the column: SET NULL (column)"
            yield about("set-null", statement, message, match.start())


def _hidden_rows(script: Script) -> Iterator[Finding]:
    """A foreign key is checked as the owner, who sees no rows because of FORCE ROW LEVEL SECURITY."""
    for at, action in script.actions:
        blind = [table for table in _read(script, action) if script.hides_rows(table, at)]
        if blind:
            yield about_action(
                "hidden-rows",
                script,
                at,
                action,
                f"the check runs as the owner, who sees no row of {' and '.join(blind)}; run ALTER TABLE ... "
                "NO FORCE ROW LEVEL SECURITY before it, also for the table it refers to, and FORCE after it",
            )


def _read(script: Script, action: Action) -> list[str]:
    if key := _ADD_KEY.match(action.flat):
        return list(dict.fromkeys([action.table, canonical(key[1])]))
    check = _VALIDATE.match(action.flat)
    return script.read_by(check[1], action.table) if check else []


CHECKS: list[Check] = [_set_null, _hidden_rows]
