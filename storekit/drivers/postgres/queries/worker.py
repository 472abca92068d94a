"""The SQL of the worker: calls of the sequencer's functions, each bounded in time by the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from storekit.drivers.postgres.queries.reads import PINNED, encode, setting
from storekit.ports.statements import Work

_Composed: TypeAlias = tuple[str, list[bytes | None]]

_TEXTS: Mapping[str, str] = {
    "relay": "SELECT storekit.relay_v1($1::text, $2::interval, $3::integer)",
    # By the index, which remembers dead rows; a scan would read those of all events moved since a vacuum.
    "waiting": "SELECT to_jsonb((SELECT min(id) FROM storekit.event_inbox) IS NOT NULL)",
    "add_partition": "SELECT to_jsonb(storekit.add_partition_v1())",
    "resign": "SELECT to_jsonb(storekit.resign_v1('sequencer', $1::text)::text)",
    "health": "SELECT storekit.relay_health_v1()",
}
# A process that is stopped between two messages must not keep the lock of the head either.
_LIMITS = ", ".join(
    [
        "SELECT pg_catalog.set_config('statement_timeout', $1, true)",
        "pg_catalog.set_config('idle_in_transaction_session_timeout', $1, true)",
        *(setting(*each) for each in PINNED.items()),
    ]
)


def work(statement: Work) -> list[_Composed]:
    """Compose a call with its settings and its time limits, which apply to this transaction only."""
    limit = f"{int(statement.timeout.total_seconds() * 1000)}ms".encode()
    return [
        (_LIMITS, [limit]),
        (_TEXTS[statement.name], [encode(value) for value in statement.values]),
    ]
