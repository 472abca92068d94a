"""Parameters of libpq for the connections to the embedded servers.

libpq takes what a connection does not set from the variables PG* of the environment, which are meant for
other servers. It has no way to ignore them, so each parameter that could make a difference is set.
"""

from __future__ import annotations

from collections.abc import Mapping

EMBEDDED = "storekit_embedded"
"""The application name of connections to the embedded servers, by which they are recognised."""
LINK: Mapping[str, str] = {
    "hostaddr": "127.0.0.1",
    "application_name": EMBEDDED,
    "client_encoding": "UTF8",
    "sslmode": "disable",
    "sslrootcert": "",
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_max_protocol_version": "",
    "gssencmode": "disable",
    "channel_binding": "prefer",
    "target_session_attrs": "any",
    "options": "",
}
"""Parameters of libpq since PostgreSQL 13. They are part of the URL, which `psql` must understand."""
NEWER: Mapping[str, str] = {
    "require_auth": "scram-sha-256",
    "sslcertmode": "allow",
    "sslnegotiation": "postgres",
    "load_balance_hosts": "disable",
    "gssdelegation": "0",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}
"""Parameters of libpq 16 to 18, which are set if the libpq of the process knows them."""
SESSION: Mapping[str, tuple[str, str]] = {
    "PGTZ": ("timezone", "UTC"),
    "PGDATESTYLE": ("datestyle", "ISO, MDY"),
    "PGGEQO": ("geqo", "on"),
}
"""Variables that libpq sends as settings of the session whatever the connection sets. The server refuses to
connect if it does not accept their values; otherwise the settings are set again after each log-in."""
