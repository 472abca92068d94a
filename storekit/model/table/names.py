"""Names and literals, quoted for SQL."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

# Words that Postgres reserves (pg_get_keywords, categories R, T and C): a name among them must be quoted.
KEYWORDS = frozenset(
    """
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean
both case cast char character check coalesce collate collation column concurrently constraint create
cross current_catalog current_date current_role current_schema current_time current_timestamp
current_user dec decimal default deferrable desc distinct do else end except exists extract false
fetch float for foreign freeze from full grant greatest group grouping having ilike in initially
inner inout int integer intersect interval into is isnull join lateral leading least left like limit
localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric
offset on only or order out outer overlaps overlay placing position precision primary real
references returning right row select session_user setof similar smallint some substring symmetric
system_user table tablesample then time timestamp to trailing treat trim true union unique user
using values varchar variadic verbose when where window with
""".split()
)


def qualified(name: str) -> str:
    """Return the name of a table or type with its schema, which is public by default."""
    # always with a schema, so that a migration does not depend on the search_path of the session
    schema, _, own = name.rpartition(".")
    return f"{quoted(schema or 'public')}.{quoted(own)}"


def quoted(name: str) -> str:
    """Quote a name if SQL would read it differently without quotes."""
    if _PLAIN.fullmatch(name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
