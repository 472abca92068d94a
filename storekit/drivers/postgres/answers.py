"""From statements to what is sent, and from what came back to Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult

from storekit import sql
from storekit.drivers.postgres.exchange import Composed
from storekit.ports import Call, Events, Statement


def compose(tenant: UUID, statements: Sequence[Statement]) -> list[Composed]:
    """Compose one exchange. Functions name their tenant themselves; reads need it set before them."""
    composed: list[Composed] = []
    if not all(isinstance(statement, Call) for statement in statements):
        composed.append((sql.SET_TENANT, [str(tenant).encode()]))
    for statement in statements:
        match statement:
            case Call():
                composed.append(sql.call(statement))
            case Events():
                composed.append(sql.events(statement, tenant))
            case _:
                composed.append(sql.select(statement, tenant))
    return composed


def read(connection: Any, statements: Sequence[Statement], results: Sequence[PGresult]) -> list[Any]:
    """Make each answer a dict (of a call) or a list of rows."""
    answers = results[len(results) - len(statements) :]
    return [
        _document(result) if isinstance(statement, Call) else _rows(connection, result)
        for statement, result in zip(statements, answers, strict=True)
    ]


def _document(result: PGresult) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(result.get_value(0, 0) or b"null")
    return value


def _rows(connection: Any, result: PGresult) -> list[dict[str, Any]]:
    transformer = Transformer(connection)
    transformer.set_pgresult(result)
    names = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
    values = transformer.load_rows(0, result.ntuples, tuple)
    return [dict(zip(names, row, strict=True)) for row in values]
