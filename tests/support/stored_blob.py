"""A blob that exists in Postgres alone, for tests of calls that ask no other server, such as `url`."""

from __future__ import annotations

from hashlib import sha256

import psycopg
from pydantic import SecretStr

from storekit import Entity, Settings
from storekit.ids import new_id
from tests.support.postgres import Database

_PART = """
INSERT INTO storekit.part (tenant_id, part_id, write_id, state, entity, ref_id, field, store, key,
                           version_id, size, sha256, media_type, sign_until)
SELECT tenant_id, %(part)s, write_id, 'committed', %(table)s, %(ref_id)s, %(field)s, 's3',
       concat_ws('/', tenant_id, %(table)s::text, %(ref_id)s::text, %(field)s::text, %(part)s::text), 'v1', 2,
       %(sha256)s, 'text/plain', now()
FROM storekit.write WHERE tenant_id = %(tenant)s LIMIT 1"""
CLEAN = "-c search_path=pg_catalog -c default_transaction_read_only=off -c timezone=UTC"
"""Options of a session that no planted object and no other setting of the database disturbs."""


def store_blob(database: Database, record: Entity, field: str) -> None:
    """Store what a save with a blob of two bytes would store in Postgres."""
    table, part = record.storekit_table.name, new_id()
    values = {
        "part": part,
        "table": table,
        "field": field,
        "ref_id": record.ref_id,
        "tenant": record.tenant_id,
    }
    change = f'UPDATE public."{table}" SET "{field}_ref" = %s WHERE ref_id = %s'
    with psycopg.connect(database.url("postgres"), options=CLEAN) as root:
        root.execute("SELECT set_config('storekit.tenant', %s, true)", [str(record.tenant_id)])
        root.execute(_PART, {**values, "sha256": sha256(b"hi").digest()})
        root.execute(change.encode(), [part, record.ref_id])


def with_bucket(**urls: str) -> Settings:
    """Return settings with these URLs, and a bucket on a server that no test asks."""
    return Settings(
        **{name: SecretStr(url) for name, url in urls.items()},  # type: ignore[arg-type]
        s3_bucket="records",
        s3_endpoint_url="http://127.0.0.1:9",
        s3_access_key="key",
        s3_secret_key=SecretStr("secret"),
    )
