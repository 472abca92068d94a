"""Compare storekit's own objects with the mirror that is shipped: what its migrations create.

This finds each function whose body, owner or search path was changed, each table that lacks one of its
constraints, triggers or policies, and each grant that no migration made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import psycopg

from storekit.drivers.postgres.admin.as_owner import as_owner
from storekit.drivers.postgres.admin.mirror import read
from storekit.schema import files

_MIRROR = "schemas/postgres/mirror"
_GRANT = re.compile(
    r"^GRANT (.+) ON (?:(?:FUNCTION|SCHEMA|TYPE|VIEW|TABLE) )?(.+) TO (.+?)( WITH GRANT OPTION)?;$",
    re.MULTILINE,
)
# Another rule checks owners, and comments have no effect.
_ASIDE = re.compile(r"^(?:GRANT|COMMENT ON|ALTER \w+(?: \w+)? \S+ OWNER TO) .*;\n?", re.MULTILINE)
_OURS = {f"storekit/functions/write_{name}.sql" for name in ("rows", "storekit.cursor")}
_WRITERS = """
SELECT p.oid, p.proname, p.prosrc, p.prosecdef, p.provolatile, p.proconfig::text
FROM pg_proc AS p JOIN storekit.managed AS m ON p.proname = 'write_' || m.entity
WHERE p.pronamespace = 'storekit'::regnamespace"""
_COMPOSE = """
SELECT storekit.compose_writer(
    c.oid, m.entity, storekit.plain_columns(c.oid, m.entity), ARRAY(
        SELECT f.field FROM storekit.field AS f
        WHERE f.table_name = m.entity AND f.kind <> 'column' ORDER BY f.field), m.mutable, m.soft_delete)
FROM storekit.managed AS m JOIN pg_namespace AS n ON n.nspname = m.schema_name
     JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = m.table_name"""


def differences(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Yield what differs from the migrations of storekit, and the remedy."""
    shipped, found = _shipped(), read(connection)
    managed = _managed(connection)
    for path, text in shipped.items():
        title = _title(path)
        if path not in found:
            yield f"{title} is missing", _restore(path)
            continue
        if line := _difference(_definition(text), _definition(found[path])):
            yield f"{title} differs from the migrations of storekit: {line}", _restore(path)
        yield from _grants(text, found[path])
    for path in found.keys() - shipped.keys():
        schema, _, name = path.partition("/")
        if schema == "storekit" and not (name.startswith("functions/write_") and name[16:-4] in managed):
            yield f"{_title(path)} was not created by a migration of storekit", "drop it"
    yield from _changed_writers(connection)


def _shipped() -> dict[str, str]:
    """Read the mirror of the schemas `storekit` and `report`, without the mirror of shipped entities."""
    root = files.root() / "postgres" / "mirror"
    found = {}
    for schema in ("storekit", "report"):
        for each in (root / schema).iterdir():
            for file in each.iterdir() if each.is_dir() else [each]:
                path = f"{schema}/{each.name}/{file.name}" if each.is_dir() else f"{schema}/{file.name}"
                if path.startswith(("storekit/functions/write_", "report/views/")) and path not in _OURS:
                    continue
                found[path] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def _managed(connection: psycopg.Connection) -> set[str]:
    with as_owner(connection):
        return {name for (name,) in connection.execute("SELECT entity FROM storekit.managed")}


def _title(path: str) -> str:
    """Return "function storekit.now" for `storekit/functions/now.sql`.

    >>> _title("storekit/functions/now.sql"), _title("report/schema.sql")
    ('function storekit.now', 'schema report')
    """
    schema, *kind, file = path.removesuffix(".sql").split("/")
    return f"{kind[0].removesuffix('s')} {schema}.{file}" if kind else f"schema {schema}"


def _restore(path: str) -> str:
    return f"as storekit_owner, run its statements from {_MIRROR}/{path}"


def _definition(text: str) -> list[str]:
    return [line.rstrip(",") for line in _ASIDE.sub("", text).splitlines() if line.strip()]


def _difference(wanted: list[str], found: list[str]) -> str:
    """Return the first line that differs; empty if none does."""
    for line in wanted:
        if line not in found:
            return f"it does not have: {line.strip()}"
    for line in found:
        if line not in wanted:
            return f"it has: {line.strip()}"
    return "" if wanted == found else "its lines have another order"


def _grants(wanted: str, found: str) -> Iterator[tuple[str, str]]:
    expected, actual = set(_GRANT.findall(wanted)), set(_GRANT.findall(found))
    for privilege, name, who, option in sorted(actual - expected):
        kind = _kind(found, name)
        yield (
            f"{who} may {privilege} {name}{option}, which no migration grants",
            f"REVOKE {privilege} ON {kind}{name} FROM {who}",
        )
    for privilege, name, who, _ in sorted(expected - actual):
        if (privilege, name, who) not in {each[:3] for each in actual}:
            yield (
                f"{who} may not {privilege} {name}",
                f"GRANT {privilege} ON {_kind(wanted, name)}{name} TO {who}",
            )


def _kind(text: str, name: str) -> str:
    found = re.search(rf"^ALTER (FUNCTION|SCHEMA|TYPE) {re.escape(name)} OWNER TO", text, re.MULTILINE)
    return f"{found[1]} " if found else ""


def _changed_writers(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Compose the writers again, compare them, and roll back. No table is locked."""
    with as_owner(connection):
        before = _writers(connection)
        with connection.transaction(force_rollback=True):
            connection.execute(_COMPOSE)
            after = _writers(connection)
    for name, text in after.items():
        if before.get(name) != text:
            entity = name.removeprefix("write_")
            what = "is missing" if name not in before else "is not the one that storekit.manage() created"
            yield f"function storekit.{name} {what}", f"SELECT storekit.manage('{entity}')"


def _writers(connection: psycopg.Connection) -> Mapping[str, tuple[object, ...]]:
    return {name: tuple(rest) for _, name, *rest in connection.execute(_WRITERS)}
