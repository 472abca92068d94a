"""Check Postgres with the login of the app: one connection and one trip."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from storekit.drivers.postgres.encodings import other_encoding
from storekit.drivers.postgres.pool.endpoint import Endpoint
from storekit.drivers.postgres.pool.logins import NO_TRIGGERS, REMEDY, TRIGGERS, exempt
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.drivers.postgres.queries.reads import FUNCTIONS, SET_PATH
from storekit.errors import ConfigurationError
from storekit.settings import Settings

_MIGRATE = "run storekit migrate"
# The query has to work in any database, also one without storekit, and for any login: to_regprocedure() would
# raise an error for a login that may not use the schema.
_STATE = f"""
SELECT current_setting('server_version_num')::int, ({TRIGGERS}) = 'replica',
       ({exempt("storekit_app").replace("%", "%%")}),
       coalesce(pg_has_role(session_user, to_regrole('storekit_app')::oid, 'MEMBER'), false),
       pg_is_in_recovery(),
       to_regnamespace('storekit') IS NOT NULL,
       ARRAY(SELECT f.name FROM unnest(%s::text[]) AS f (name)
             WHERE NOT EXISTS (
                 SELECT FROM pg_catalog.pg_proc AS p
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
                 WHERE n.nspname = 'storekit' AND has_function_privilege(p.oid, 'EXECUTE')
                   AND concat('storekit.', p.proname, '(', oidvectortypes(p.proargtypes), ')') = f.name))
"""  # noqa: S608  composed of constants


def check(settings: Settings) -> tuple[str, list[tuple[str, str]]]:
    """Return the version of the server, and its problems with their remedies.

    Raises:
        ConfigurationError: the login was refused, or the URL is missing or cannot be used.
        Unavailable: the server cannot be reached.
    """
    endpoint = Endpoint(settings)
    seconds = settings.timeout.total_seconds()
    names = [f"storekit.{name}({', '.join(types.values())})" for name, types in FUNCTIONS.items()]
    try:
        with (
            endpoint.recording(),
            psycopg.connect(
                **endpoint.keywords,
                autocommit=True,
                connect_timeout=max(2, round(seconds)),
            ) as connection,
        ):
            encoding = other_encoding(connection.pgconn)
            with connection.pipeline():  # one transaction: without COMMIT, SET_PATH ends with it
                connection.execute(SET_PATH.encode())
                cursor = connection.execute(_STATE.encode(), [names])
            row = cursor.fetchone()
    except psycopg.OperationalError as error:
        if endpoint.refusal:
            raise ConfigurationError(endpoint.refusal) from error
        raise endpoint.unreachable(seconds) from error
    assert row is not None  # noqa: S101  a query without FROM returns one row
    number = int(row[0])
    return f"{number // 10_000}.{number % 10_000}", list(_problems(encoding, number, *row[1:]))


def _problems(
    encoding: str | None,
    version: int,
    no_triggers: bool,
    above: str | None,
    member: bool,
    standby: bool,
    there: bool,
    missing: list[str],
) -> Iterator[tuple[str, str]]:
    for why in (unsupported(version), encoding, NO_TRIGGERS if no_triggers else None):
        if why:
            what, _, remedy = why.partition("; ")
            yield what, remedy or "use a newer server"
    if standby:
        yield "the server is a standby, which is read-only", "set POSTGRES_URL to the primary server"
    if above:
        yield (
            f"the database does not protect other tenants from the login, because it {above}",
            f"{REMEDY} storekit_app",
        )
    if not there:
        yield "the database has no schema storekit", _MIGRATE
    elif not member:
        yield "the login is not a member of storekit_app", "GRANT storekit_app to it"
    elif missing:
        yield f"the login may not call {missing[0]}, or the database has an older version of it", _MIGRATE
