"""The SQL of a claim: one statement that locks records of a queue, if they are not locked, and moves them.

Locked records are skipped, so concurrent claims never wait for each other and never get the same record. The
records are locked by the statement that moves them, so a claim is one trip and no record is locked in vain.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias
from uuid import UUID

from storekit.drivers.postgres.queries.reads import encode, fields, look_up, named, needed
from storekit.drivers.postgres.queries.search import Order, Shape, encoded, order_by, shape, where
from storekit.ports.statements import Claim, Written

_OWN = 10
"""The parameters before those of the conditions."""
_Queue: TypeAlias = tuple[tuple[Shape, ...], Order]


def claim(statement: Claim, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a claim. It returns the reply of the commit, or no row if no record was free."""
    lease = statement.lease or ("", None)
    own = [
        tenant,
        statement.origin.actor,
        statement.write_id,
        statement.table,
        dict(statement.values),
        statement.origin.reason,
        lease[1],
        statement.limit,
        statement.origin.on_behalf_of,
        statement.origin.context,
    ]
    given = [value for search in statement.queues for value in encoded(search.conditions)]
    queues = tuple((tuple(map(shape, search.conditions)), search.order) for search in statement.queues)
    return _claim_text(statement.table, queues, tuple(statement.values), lease[0]), [
        *map(encode, own),
        *given,
    ]


def written(statement: Written, tenant: UUID) -> tuple[str, list[bytes | None]]:
    """Compose a SELECT of the rows that a write of this transaction has written."""
    text = _written_text(statement.table, tuple(c for c, _ in statement.columns), statement.parts)
    return text, [encode(tenant), encode(statement.write_id)]


@lru_cache(maxsize=1024)
def _claim_text(table: str, queues: tuple[_Queue, ...], columns: tuple[str, ...], lease: str) -> str:
    number, free = _OWN + 1, []
    for conditions, order in queues:
        free.append(
            f"(SELECT ref_id FROM {named(table)} WHERE {where(conditions, number)}{order_by(order)} "
            "LIMIT $8::bigint FOR NO KEY UPDATE SKIP LOCKED)"
        )
        number += sum(count for _, _, count, _ in conditions)
    # the parts of UNION ALL are read in turn, and only as far as the limit
    found = " UNION ALL ".join(f"SELECT ref_id FROM {each} q" for each in free)
    until = f" || jsonb_build_object('{lease}', storekit.now() + $7::interval)" if lease else ""
    listed = ", ".join(f"'{name}'" for name in (*columns, *([lease] if lease else [])))
    return (
        f"WITH free AS MATERIALIZED (SELECT ref_id FROM ({found}) f LIMIT $8::bigint) "
        "SELECT storekit.commit_v1($1::uuid, $2::text, $3::uuid, NULL, NULL, NULL, jsonb_build_array("
        "jsonb_build_object('entity', $4::text, 'op', 'update', 'refs', '{}'::text[], 'reason', $6::text, "
        f"'columns', ARRAY[{listed}], 'rows', c.rows)), $9::text, $10::jsonb) "
        f"FROM (SELECT jsonb_agg(jsonb_build_object('ref_id', ref_id) || $5::jsonb{until}) AS rows "
        "FROM free) c "
        f"WHERE c.rows IS NOT NULL AND ($7::interval IS NULL OR {bool(lease)!s})"
    )


@lru_cache(maxsize=1024)
def _written_text(table: str, columns: tuple[str, ...], parts: tuple[str, ...]) -> str:
    return (
        f"SELECT {fields(columns, parts)} FROM storekit.write w "
        "CROSS JOIN LATERAL jsonb_array_elements(w.result -> 'rows') AS r(_row) "
        f"CROSS JOIN LATERAL ({look_up(table, 'ref_id', '(r._row ->> 1)', needed(columns, parts))}) e "
        "WHERE w.tenant_id = $1::uuid AND w.write_id = $2::uuid"
    )
