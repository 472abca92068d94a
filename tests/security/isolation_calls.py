"""Call every SECURITY DEFINER function that a role may execute with the ids of another tenant.


Each call is made with ids of the other tenant and with unknown ids: the results must be the same. It is also
made with the tenant's own ids while every name of storekit is shadowed: the result must not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from storekit.ids import new_id, new_ref_id
from tests.security.isolation_catalogue import callable_definers, relations
from tests.security.isolation_matrix import ROLES, SETTINGS, Executor, Role, Setting
from tests.security.isolation_tables import MINE, NIL, THEIRS
from tests.support.postgres import Database
from tests.support.write_api import Api, blob_part, change_op, insert_op

ALLOWED = {"storekit.lookup_v1", "report.read_v1"}
"""Functions that return data of other tenants by design: a look-up by digest, and reports."""


@dataclass(frozen=True)
class Ids:
    """The ids that a call can name: all of them belong to one tenant, or none of them exists."""

    tenant: UUID
    ref_id: str = field(default_factory=new_ref_id)
    id: str = field(default_factory=lambda: str(new_id()))
    run: str = field(default_factory=lambda: str(new_id()))
    part: str = field(default_factory=lambda: str(new_id()))
    write: UUID = field(default_factory=new_id)
    staged: str = field(default_factory=lambda: str(new_id()))
    key: str = field(default_factory=lambda: uuid4().hex)
    external: str = field(default_factory=lambda: uuid4().hex)
    digest: str = field(default_factory=lambda: uuid4().hex)


def ids_of(database: Database, tenant: UUID) -> Ids:
    """Stage a write of a tenant and return all of its ids."""
    ids = Ids(tenant, digest=f"of {tenant}", external=f"of {tenant}")
    with database.connect("app") as connection:
        part = blob_part(new_ref_id(), table="sales.chances", field="memo") | {"part_id": ids.staged}
        Api(connection, tenant).stage(ids.write, [part], ids.key, lease="1 hour")
    query = "SELECT ref_id, id::text, run_id::text, memo_ref::text FROM sales.chances WHERE tenant_id = %s"
    ((ref_id, own, run, memo),) = database.ask(query, tenant)
    return replace(ids, ref_id=ref_id, id=own, run=run, part=memo)


def _commit(*ops: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    claim = {"p_write_id": new_id(), "p_key": None, "p_fingerprint": None}
    return {**claim, "p_parts": Jsonb([]), "p_ops": Jsonb([*ops]), **more}


def _stage(**more: Any) -> dict[str, Any]:
    claim = {"p_write_id": new_id(), "p_key": None, "p_fingerprint": b"same", "p_lease": "60 seconds"}
    return {**claim, "p_parts": Jsonb([]), "p_targets": Jsonb([]), **more}


def calls(ids: Ids) -> dict[str, list[dict[str, Any]]]:
    """Return the calls of each function, without the arguments tenant and actor."""
    chance = {"external_id": uuid4().hex, "title": "x"}
    row, version = {"ref_id": ids.ref_id}, {"ref_id": ids.ref_id, "expected_version": 1}
    part = blob_part(ids.ref_id, table="sales.chances", field="memo")

    def insert(refs: Sequence[str] = (), **columns: Any) -> dict[str, Any]:
        return insert_op("sales.chances", [chance | columns], refs)

    def change(op: str, table: str = "sales.chances", **columns: Any) -> dict[str, Any]:
        return change_op(op, table, {**row, **columns})

    uploaded = Jsonb([{"part_id": ids.staged, "version_id": "v1"}])
    move = {"p_write_id": new_id(), "p_entity": "sales.chances", "p_to": "won", "p_reason": None}
    return {
        "storekit.stage_v1": [
            _stage(p_targets=Jsonb([{"entity": "sales.chances", **version}])),
            _stage(p_write_id=ids.write),
            _stage(p_key=ids.key),
            _stage(p_key=ids.key, p_fingerprint=b"other"),
            _stage(p_parts=Jsonb([part])),
            _stage(p_parts=Jsonb([part | {"part_id": ids.part}])),
        ],
        "storekit.renew_v1": [{"p_write_id": ids.write, "p_lease": "60 seconds"}],
        "storekit.abandon_v1": [{"p_write_id": ids.write}],
        "storekit.commit_v1": [
            _commit(change("update", title="mine now")),
            _commit(change("update", title="mine now", expected_version=1)),
            _commit(change("update", title="mine now", expected_version=99)),
            _commit(change("delete")),
            _commit(change("restore")),
            _commit(change("delete", "activity_runs")),
            _commit(change("update", memo_ref=None) | {"refs": ["memo"]}),
            _commit(insert(run_id=ids.run)),
            _commit(insert(id=ids.id)),
            _commit(insert(ref_id=ids.ref_id)),
            _commit(insert(external_id=ids.external)),
            _commit(insert(["memo"], memo_ref=ids.part)),
            _commit(insert(["memo"], memo_ref=ids.staged), p_parts=uploaded),
            _commit(insert(["memo"], memo_ref=ids.staged), p_parts=uploaded, p_write_id=ids.write),
            _commit(insert(), p_write_id=ids.write),
            _commit(insert(), p_key=ids.key, p_fingerprint=b"same"),
            _commit(insert(), p_key=ids.key, p_fingerprint=b"other"),
            _commit(insert_op("sales.remarks", [{"chance_id": ids.id, "note": "x"}])),
            _commit(insert_op("sales.tenants", [{"id": str(ids.tenant), "name": "x"}])),
            _commit(insert_op("sales.plans", [{"name": "x"}])),
        ],
        "storekit.transition_v1": [
            {**move, "p_ref_id": ids.ref_id, "p_expected_version": None},
            {**move, "p_ref_id": ids.ref_id, "p_expected_version": 99},
            {**move, "p_ref_id": ids.ref_id, "p_expected_version": None, "p_to": "lost"},
        ],
        "storekit.lookup_v1": [{"p_entity": "sales.sessions", "p_value": ids.digest}],
        "report.read_v1": [{"p_report": "chances"}],
        "storekit.add_partition_v1": [{}],
    }


@dataclass
class Calls:
    """All calls of all functions by every role that may execute them."""

    database: Database
    more: Callable[[Ids], dict[str, list[dict[str, Any]]]] = lambda ids: {}
    """Calls of functions that storekit does not have; with any, of them alone."""
    tried: int = 0
    findings: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Make all calls."""
        roles = {role.acting: role for role in ROLES if role.name not in {"owner", "reports"}}
        theirs, mine = ids_of(self.database, THEIRS), ids_of(self.database, MINE)
        unknown = Ids(uuid4())
        with self.database.connect("postgres") as catalogue, self.database.connect("postgres") as used:
            self._catalogue, self._executor = catalogue, Executor(used)
            known = {who: self.more(who) or calls(who) for who in (theirs, unknown, mine)}
            found = callable_definers(catalogue, list(roles))
            untried = found.keys() - calls(mine).keys() - known[mine].keys()
            self.findings += [
                f"no call is listed for {name}, which {found[name]} may execute" for name in untried
            ]
            for function, callers in found.items():
                if function not in known[mine]:
                    continue
                for role in (roles[caller] for caller in callers):
                    self._cross(role, function, known[theirs][function], known[unknown][function])
                    self._shadow(role, function, known[mine][function])
        return self.findings

    def _cross(
        self, role: Role, function: str, foreign: list[dict[str, Any]], unknown: list[dict[str, Any]]
    ) -> None:
        for there, nowhere in zip(foreign, unknown, strict=True):
            for setting, tenant in _scopes(function):
                results = [self._call(role, setting, function, each, tenant) for each in (there, nowhere)]
                if function not in ALLOWED and results[0] != results[1]:
                    self.findings.append(f"{function} shows {role.name} rows of another tenant: {results}")

    def _shadow(self, role: Role, function: str, own: list[dict[str, Any]]) -> None:
        """Create temporary tables that shadow every table of storekit."""
        tables = {each.name.rpartition(".")[2]: each for each in relations(self._catalogue)}
        made = [
            f"CREATE TEMP TABLE {name} ({each.definition}); GRANT ALL ON {name} TO PUBLIC"
            for name, each in tables.items()
        ]
        shadows = "; ".join(["SET LOCAL search_path = pg_temp, public, sales", *made]) + "; "
        plain = "SET LOCAL search_path = public, sales; "
        for each in own:
            results = [
                self._call(role, SETTINGS[0], function, each, MINE, first) for first in (plain, shadows)
            ]
            if results[0] != results[1]:
                self.findings.append(
                    f"{function} resolves names through the search_path of {role.name}: {results}"
                )

    def _call(
        self,
        role: Role,
        setting: Setting,
        function: str,
        values: Mapping[str, Any],
        tenant: UUID | None,
        first: str = "",
    ) -> str:
        """Return the result of a call with ids and times masked; record the tenants whose rows changed."""
        self.tried += 1
        values = {**_who(function, tenant), **values}
        named = ", ".join(f"{name} => %({name})s" for name in values)
        call = psycopg.ClientCursor(self._catalogue).mogrify(f"SELECT {function}({named})", values)
        try:
            cursor = self._executor.act(role, setting, first + call)
            result = str(cursor.fetchall())
            if self._executor.changed() - {MINE} and function not in ALLOWED:
                self.findings.append(f"{function} lets {role.name} change rows of another tenant: {values}")
        except psycopg.Error as error:
            result = f"{error.sqlstate} {error.diag.message_primary} {error.diag.message_detail}"
        self._executor.undo()
        return _masked(result)


def _who(function: str, tenant: UUID | None) -> dict[str, Any]:
    if function.endswith(("lookup_v1", "read_v1", "add_partition_v1")):
        return {"p_actor": "mallory"} if function.startswith("report.") else {}
    return {"p_tenant": tenant, "p_actor": "mallory"} if function.startswith("storekit.") else {}


def _scopes(function: str) -> Iterator[tuple[Setting, UUID | None]]:
    """Return pairs of the tenant that the transaction sets and the tenant that the call names."""
    for setting in (each for each in SETTINGS if each.name in {"mine", "theirs", "unset", "nil"}):
        yield from ((setting, tenant) for tenant in (MINE, None, NIL))
        if setting.tenant == MINE and _who(function, MINE):
            yield setting, THEIRS


_MASKS = [
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"[0-7][0-9A-HJKMNP-TV-Z]{25}", "<ref_id>"),
    (r"\d{4}-\d\d-\d\d[T ][\d:.+]+", "<time>"),
    (r"[0-9a-f]{32}|of <id>", "<text>"),
    (r"'lease_left': [\d.]+", "<lease>"),
]


def _masked(result: str) -> str:
    for pattern, mask in _MASKS:
        result = re.sub(pattern, mask, result)
    return result
