"""Check that text means the same to storekit, to the session and to the database."""

from __future__ import annotations

from psycopg.pq.abc import PGconn

UTF8 = "UTF8"
"""The client_encoding of each connection. It prevails over PGCLIENTENCODING and the defaults of the login."""


def other_encoding(pgconn: PGconn) -> str | None:
    """Return why text would be changed on its way to the database, or None if all encodings are UTF-8.

    A server with another encoding refuses most characters, or stores bytes that it does not check
    (SQL_ASCII). The server reports both settings when a connection is opened, so this needs no trip.
    """
    for name, remedy in (
        ("server_encoding", "create the database with ENCODING 'UTF8'"),
        ("client_encoding", "connect with client_encoding=UTF8"),
    ):
        found = (pgconn.parameter_status(name.encode()) or UTF8.encode()).decode()
        if found != UTF8:
            return f"{name} is {found}, and storekit stores text as UTF-8; {remedy}"
    return None
