"""The hashes of events: what they cover, and what can be erased without changing them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from storekit import Blob, Store
from storekit.model.values.event_hash import COLUMNS, broken, digest_of
from tests.support.entities import Note
from tests.support.postgres import Database
from tests.support.write_api import Api

HOSTILE = ("", "a\nactor 1 b\n", "reason -", "ä\u2028😀", '"quoted" \\ \t', "x" * 3000)


def sequence(database: Database) -> None:
    """Move all events."""
    database.ask("SELECT storekit.sequence_v1(10000)", login="worker")


def chain(database: Database, tenant: UUID) -> list[dict[str, Any]]:
    """Read the events of a tenant as the verifier takes them."""
    query = f"SELECT {COLUMNS} FROM storekit.domain_event d WHERE d.tenant_id = %s ORDER BY d.seq"
    with psycopg.connect(database.url("postgres"), row_factory=dict_row) as connection:
        return connection.execute(query.encode(), [tenant]).fetchall()


@pytest.fixture
def chained(database: Database, api: Api) -> UUID:
    """Write events with all kinds of values for a new tenant, in several moves."""
    with api.connection.transaction():
        api.connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(api.tenant)])
        for text in HOSTILE:
            api.connection.execute(
                "SELECT set_config('storekit.actor', %s, true), set_config('storekit.reason', %s, true),"
                " set_config('storekit.context', jsonb_build_object('text', %s::text)::text, true)",
                [text, text, text],
            )
            api.connection.execute("INSERT INTO jobs (title) VALUES (%s)", [text])
    sequence(database)
    with api.connection.transaction():
        api.connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(api.tenant)])
        api.connection.execute("INSERT INTO readings (model, tokens) VALUES ('m', 9007199254740993)")
        api.connection.execute("UPDATE jobs SET title = 'changed'")
        api.connection.execute("DELETE FROM jobs")
    sequence(database)
    return api.tenant


def test_python_computes_the_hashes_of_postgres(database: Database, chained: UUID) -> None:
    """The hashes of events can be computed from the stored columns, whatever the values contain."""
    events = chain(database, chained)
    assert len(events) == 3 * len(HOSTILE) + 1
    assert broken(events) == []


def test_values_and_salts_can_be_erased(database: Database, chained: UUID) -> None:
    """If the values and salts of events become NULL, all hashes are still verified."""
    database.ask(
        "UPDATE storekit.domain_event SET before = NULL, after = NULL, reason = NULL, context = NULL,"
        " salt = NULL WHERE tenant_id = %s AND mod(seq, 2) = 0",
        chained,
    )
    events = chain(database, chained)
    assert sum(event["salt"] is None for event in events) == len(events) // 2
    assert broken(events) == []


TAMPER: list[tuple[str, str]] = [
    ("SET after = '{}'", "values"),
    ("SET before = '{\"a\": 1}'", "values"),
    ("SET reason = 'other'", "values"),
    ("SET context = NULL", "values"),
    ("SET salt = '\\x00'", "values"),
    ("SET actor = 'other'", "head"),
    ("SET on_behalf_of = 'other'", "head"),
    ("SET login = 'other'", "head"),
    ("SET ref_id = '0' || left(ref_id, 25)", "head"),
    ("SET occurred_on = occurred_on - interval '1 us'", "head"),
    ("SET sequenced_on = sequenced_on + interval '1 us'", "head"),
    ('SET parts = \'{"a": "b"}\'', "head"),
    ("SET digest = '\\x00', salt = NULL", "head"),
    ("SET hash = '\\x00'", "head"),
    ("SET prev_hash = '\\x00'", "follow"),
    ("SET seq = seq + 100", "seq"),
]


@pytest.mark.parametrize(("change", "found"), TAMPER)
def test_a_changed_event_is_found(database: Database, chained: UUID, change: str, found: str) -> None:
    """A change of any column of an event is found, and named with its position."""
    [(pos,)] = database.ask(
        f"UPDATE storekit.domain_event {change} WHERE tenant_id = %s AND seq = 3 RETURNING pos",
        chained,
    )
    wrong = broken(chain(database, chained))
    assert any(each.startswith(f"event {pos} ") and found in each for each in wrong), wrong


def test_a_removed_event_is_found(database: Database, chained: UUID) -> None:
    """An event that is missing between others is found."""
    database.ask("DELETE FROM storekit.domain_event WHERE tenant_id = %s AND seq = 3", chained)
    assert len(broken(chain(database, chained))) == 2


def test_equal_values_have_different_digests(database: Database, chained: UUID) -> None:
    """The salt of each event is random, so that equal values cannot be recognised by their digests."""
    events = chain(database, chained)
    assert (
        len({event["salt"] for event in events}) == len({event["digest"] for event in events}) == len(events)
    )
    assert all(digest_of(event) == event["digest"] for event in events)


def test_an_event_has_the_hashes_of_its_parts(embedded: Store) -> None:
    """The event of a record with a blob has the SHA-256 of the blob's bytes."""
    notes = embedded.scope(tenant=uuid4(), actor="user:ada").repository(Note)
    note = notes.save(Note(title="a", content=Blob(b"the bytes")))
    worker = embedded.settings.postgres_worker_url
    assert worker is not None
    with psycopg.connect(worker.get_secret_value()) as connection:
        connection.execute("SELECT storekit.sequence_v1(10000)")
        row = connection.execute(
            "SELECT parts ->> 'content' FROM storekit.domain_event WHERE ref_id = %s", [note.ref_id]
        ).fetchone()
    assert row == (sha256(b"the bytes").hexdigest(),)
