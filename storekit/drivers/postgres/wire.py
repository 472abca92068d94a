"""Encode statements as SQL with parameters, and decode results as Python values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from psycopg import adapt, adapters
from psycopg.abc import Buffer, Transformer
from psycopg.pq import Format
from psycopg.pq.abc import PGresult
from pydantic_core import from_json

from storekit.drivers.postgres.exchange import Composed
from storekit.drivers.postgres.queries import claims, reads, search, worker
from storekit.ports.statements import (
    Call,
    Claim,
    Count,
    Events,
    Locate,
    Match,
    Progress,
    Report,
    Search,
    Select,
    Statement,
    Work,
    Written,
)
from storekit.ports.stores import UNDECODED, BlobRef, StoredPart


class _Json(adapt.Loader):
    """Parse JSON with pydantic's parser: the json module took two thirds of the time to read a batch."""

    def load(self, data: Buffer) -> Any:
        return from_json(bytes(data))


_ADAPTERS = adapt.AdaptersMap(adapters)
for _name in ("json", "jsonb"):
    _ADAPTERS.register_loader(_name, _Json)


def new_reader() -> Transformer:
    """Create the reader of a connection's results. It looks up the loader of each type once.

    It is created without the connection: psycopg would then use the session's time zone, while storekit's
    transactions set UTC.
    """
    return adapt.Transformer(_ADAPTERS)


def compose(tenant: UUID, statements: Sequence[Statement], role: str | None = None) -> list[Composed]:
    """Compose one exchange.

    Functions take their tenant as an argument and set what they depend on. Reads need both set before them,
    but not earlier than that: a function that sorts, in a transaction in which sorts are forbidden, is
    planned at such costs that Postgres 15 to 17 compile it (JIT), which takes 490 ms.
    """
    if isinstance(statements[0], Work):
        return worker.work(statements[0])
    composed: list[Composed] = [(reads.SET_ROLE, [role.encode()])] if role else []
    first = _first_query(statements)
    for position, statement in enumerate(statements):
        if position == first:
            composed.append((_joined(reads.SET_TENANT, _planned(statements)), [str(tenant).encode()]))
        match statement:
            case Call():
                composed.append(reads.call(statement))
            case Locate():
                composed.append(reads.locate(statement, tenant))
            case Match():
                composed.append(reads.match(statement, tenant))
            case Search():
                composed.append(search.search(statement, tenant))
            case Count():
                composed.append(search.count(statement, tenant))
            case Events():
                composed.append(reads.events(statement, tenant))
            case Claim():
                composed.append(claims.claim(statement, tenant))
            case Written():
                composed.append(claims.written(statement, tenant))
            case Progress():
                composed.append(reads.progress(statement, tenant))
            case Report():
                composed.append(reads.report(statement))
            case Select():
                composed.append(reads.select(statement, tenant))
    return composed


def _first_query(statements: Sequence[Statement]) -> int | None:
    """Return the position of the first statement that is not a call, and before which the settings are
    sent."""
    for position, statement in enumerate(statements):
        if not isinstance(statement, Call):
            return position
    return None


_LOOK_UPS = frozenset({Call, Select, Locate})


def may_write(statements: Sequence[Statement]) -> bool:
    """Return whether one of the statements may write. A report records who read it."""
    return any(isinstance(each, Call | Claim | Report | Work) for each in statements)


@lru_cache
def _joined(settings: str, more: str) -> str:
    """Return both texts as one. Cached, so that it is hashed once."""
    return f"{settings}{more}"


def _planned(statements: Sequence[Statement]) -> str:
    """Return the planner settings for the queries of an exchange, which apply to all of them."""
    if _LOOK_UPS.issuperset(map(type, statements)):
        return reads.LOOK_UP
    queries = [each for each in statements if not isinstance(each, Call)]
    searches = [query for query in queries if isinstance(query, Search)]
    for query in queries:
        if isinstance(query, Claim):
            searches += query.queues
    order = search.TIES if any(each.ties for each in searches) else search.ORDERED
    if any(isinstance(query, Claim) for query in queries):
        return f"{search.EXACT}{order}{search.FRESH}"
    # The settings hold for the whole exchange, so each applies only if it suits all of its queries.
    if not any(isinstance(query, Search | Count | Match) for query in queries):
        return search.KEPT
    ordered = all(isinstance(query, Search) and query.indexed for query in queries)
    pinned = all(isinstance(query, Search) and query.pinned for query in queries)
    return f"{search.EXACT}{order if ordered else ''}{search.KEPT if pinned else search.FRESH}"


def read(reader: Transformer, statements: Sequence[Statement], results: Sequence[PGresult]) -> list[Any]:
    """Decode one value for each statement: a dict for a call, a number for a count, otherwise rows."""
    first = _first_query(statements)
    # the first results belong to SET_ROLE, BEGIN and the like, and the one before the first query to
    # SET_TENANT
    answers = list(results[len(results) - len(statements) - (first is not None) :])
    if first is not None:
        del answers[first]
    return [_answer(reader, *pair) for pair in zip(statements, answers, strict=True)]


def _answer(reader: Transformer, statement: Statement, result: PGresult) -> Any:
    match statement:
        case Call() | Work():
            return _document(result)
        case Claim():
            return _document(result) if result.ntuples else None
        case Locate():
            return _blobs(reader, result)
        case Events():
            return [_event(row) for row in _rows(reader, result)]
        case Progress():
            return _rows(reader, result)[0]
        case Report():
            return [row["row"] for row in _rows(reader, result)]
        case Count():
            return int(result.get_value(0, 0) or 0)
    rows = _rows(reader, result)
    for name in [f"part:{field}" for field in statement.parts]:
        for row in rows:
            row[name] = _part(row[name])
    return rows


def _part(facts: list[Any] | None) -> StoredPart | None:
    """Build a part from the array of `reads.PART`, whose elements are in the order of the fields."""
    if facts is None:
        return None
    part_id, key, version_id, size, sha256, media_type, filename, expires_on, expired, state, write_id = facts
    on = datetime.fromisoformat(expires_on) if expires_on else None
    return StoredPart(
        UUID(part_id), key, version_id, size, sha256, media_type, filename, on, expired, state, UUID(write_id)
    )


def _event(row: dict[str, Any]) -> dict[str, Any]:
    """Decode the row images with Decimal numbers: an audit must not round them to floats."""
    images = {name: json.loads(row[name], **_EXACT) for name in ("before", "after") if row[name]}
    return {**row, **images}


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < _LONG else Decimal(text)


_LONG = 1000
"""Digits of an integer that becomes a Decimal: Python refuses to parse integers of more than 4300."""
_EXACT: dict[str, Any] = {"parse_float": Decimal, "parse_int": _integer}


def _blobs(reader: Transformer, result: PGresult) -> dict[str, BlobRef | None]:
    reader.set_pgresult(result)
    rows = reader.load_rows(0, result.ntuples, tuple)
    return {ref_id: BlobRef(*facts) if facts[0] else None for ref_id, *facts in rows}


def _document(result: PGresult) -> dict[str, Any]:
    value: dict[str, Any] = from_json(result.get_value(0, 0) or b"null")
    return value


def _rows(reader: Transformer, result: PGresult) -> list[dict[str, Any]]:
    reader.set_pgresult(result)
    names = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
    try:
        values = reader.load_rows(0, result.ntuples, tuple)
    except (psycopg.DataError, ValueError):
        return [_row_by_value(reader, result, i, names) for i in range(result.ntuples)]
    return [dict(zip(names, row, strict=True)) for row in values]


def _row_by_value(reader: Transformer, result: PGresult, row: int, names: Sequence[str]) -> dict[str, Any]:
    """Decode a row value by value; a value that Python cannot hold stays text.

    Postgres has timestamps before the year 1 and after 9999, and numbers of more digits than Python parses.
    """
    found: dict[str, Any] = {}
    for column, name in enumerate(names):
        value = result.get_value(row, column)
        try:
            loader = reader.get_loader(result.ftype(column), Format.TEXT)
            found[name] = None if value is None else loader.load(value)
        except (psycopg.DataError, ValueError):
            found[name] = (value or b"").decode()
            found.setdefault(UNDECODED, []).append(name)
    return found
