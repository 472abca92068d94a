"""Append-only tables and the purge queue: what the database itself refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import BASE, MUTABLE, PARTS, SOFT_DELETE, Database, sample_database
from tests.support.write_api import Api, blob_part, change_op, events, insert_op, uploaded

TABLES = f"""
CREATE TABLE parents ({BASE}{MUTABLE}, name text);
SELECT storekit.manage('parents');
CREATE TABLE receipts ({BASE}, parent_id uuid, total numeric, scan_ref uuid{PARTS},
    FOREIGN KEY (tenant_id, parent_id) REFERENCES parents (tenant_id, id) ON DELETE CASCADE);
INSERT INTO storekit.field (table_name, field, kind) VALUES ('receipts', 'scan', 'blob');
SELECT storekit.manage('receipts');
CREATE TABLE minutes ({BASE}{SOFT_DELETE}, title text);
SELECT storekit.manage('minutes');
"""


@pytest.fixture(scope="module")
def database(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(cluster, tmp_path_factory.mktemp("lines"), TABLES) as made:
        yield made


@pytest.fixture
def api(database: Database) -> Iterator[Api]:
    with database.connect() as connection:
        yield Api(connection)


def receipt(api: Api, **columns: object) -> tuple[str, UUID]:
    """Save a receipt with a scan; return its ref_id and part id."""
    write, ref_id = new_id(), new_ref_id()
    api.stage(write, [part := blob_part(ref_id, table="receipts", field="scan")])
    row = {"ref_id": ref_id, "total": "9.90", **columns, "scan_ref": part["part_id"]}
    api.commit(write, [insert_op("receipts", [row], ["scan"])], uploaded(part))
    return ref_id, UUID(part["part_id"])


def refuses(database: Database, statement: str, *values: object) -> str:
    """Run one statement without policies and grants; return its SQLSTATE."""
    with pytest.raises(psycopg.Error) as error:
        database.ask(statement, *values)
    return str(error.value.sqlstate)


CHANGES = (
    "total = 1",
    "total = 9.900",
    "parent_id = NULL",
    "created_by = 'ceo'",
    "created_on = 'epoch'",
    "scan_ref = gen_random_uuid()",
)


@pytest.mark.parametrize("change", CHANGES)
def test_an_append_only_row_cannot_be_changed(database: Database, api: Api, change: str) -> None:
    """A value of an append-only row cannot be changed, even without policies and grants."""
    parent_op = insert_op("parents", [{"name": "p"}])
    api.commit(new_id(), [parent_op])
    ref_id, _ = receipt(api, parent_id=parent_op["rows"][0]["id"])
    refused = "23503" if "ref" in change else "SK405"  # no live part: the foreign key is checked first
    assert refuses(database, f"UPDATE receipts SET {change} WHERE ref_id = %s", ref_id) == refused


def test_a_column_of_an_append_only_table_can_be_altered(database: Database) -> None:
    """A migration can change a column's type without dropping the trigger."""
    with database.connect("postgres") as connection:
        connection.autocommit = False
        connection.execute(
            "ALTER TABLE receipts DROP CONSTRAINT total_storable, "
            "ALTER COLUMN total TYPE text USING total::text"
        )
        connection.execute("SELECT storekit.manage('receipts')")
        connection.rollback()


def test_an_append_only_row_cannot_be_deleted(database: Database, api: Api) -> None:
    """A DELETE of an append-only row is refused and records no event."""
    ref_id, _ = receipt(api)
    assert refuses(database, "DELETE FROM receipts WHERE ref_id = %s", ref_id) == "SK405"
    assert len(events(database, ref_id)) == 1


def test_a_ref_of_an_append_only_row_can_be_cleared(database: Database, api: Api) -> None:
    """Expiry and erasure clear the ref, and queue the part for the purge."""
    ref_id, part = receipt(api)
    with database.connect("postgres") as connection, connection.transaction():
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(api.tenant)])
        connection.execute("UPDATE receipts SET scan_ref = NULL WHERE ref_id = %s", [ref_id])
    assert queued(database, part)


def test_an_append_only_row_can_be_soft_deleted(database: Database, api: Api) -> None:
    """With SoftDelete but not Mutable, a row can be deleted and restored, but not changed."""
    ref_id = api.insert("minutes", title="Monday")
    for op in ("delete", "restore"):
        assert api.commit(new_id(), [change_op(op, "minutes", {"ref_id": ref_id})])["outcome"] == "committed"
    assert [kind for kind, *_ in events(database, ref_id)] == [
        "minutes.created", "minutes.deleted", "minutes.restored",
    ]  # fmt: skip
    assert refuses(database, "UPDATE minutes SET title = 'x' WHERE ref_id = %s", ref_id) == "SK405"


def queued(database: Database, part: UUID) -> bool:
    """Return whether a part is queued to be purged after the longest life of a URL."""
    ((delay,),) = database.ask(
        "SELECT purge_after - superseded_on FROM storekit.part WHERE part_id = %s", part
    )
    return bool(delay == timedelta(days=7))


@pytest.mark.parametrize("how", ["commit", "by hand"])
def test_cascading_deletes_queue_parts(database: Database, api: Api, how: str) -> None:
    """ON DELETE CASCADE deletes append-only children too, each with an event and queued parts."""
    op = insert_op("parents", [{"name": "p"}])
    api.commit(new_id(), [op])
    parent = op["rows"][0]
    children = [receipt(api, parent_id=parent["id"]) for _ in range(3)]
    if how == "commit":
        api.commit(new_id(), [change_op("delete", "parents", {"ref_id": parent["ref_id"]})])
    else:
        with api.connection.transaction():
            api.connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(api.tenant)])
            api.connection.execute("DELETE FROM parents WHERE ref_id = %s", [parent["ref_id"]])
    for ref_id, part in children:
        assert events(database, ref_id)[-1][0] == "receipts.deleted"
        assert queued(database, part)


def test_the_purge_queue_is_read_by_its_index(database: Database, api: Api) -> None:
    """The purge finds due parts without reading live parts."""
    for _ in range(3):
        receipt(api)
    with database.connect("postgres") as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT part_id FROM storekit.part"
            " WHERE state = 'committed' AND superseded_on IS NOT NULL"
            " AND purge_after <= storekit.now() ORDER BY purge_after LIMIT 100"
        ).fetchall()
    assert "part_queue" in str(plan)


def test_a_queued_part_can_be_protected_from_the_purge(database: Database, api: Api) -> None:
    """A queued part cannot be purged before its date, under a hold or under retention."""
    ref_id, part = receipt(api)
    with database.connect("postgres") as connection, connection.transaction():
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(api.tenant)])
        connection.execute("UPDATE receipts SET scan_ref = NULL WHERE ref_id = %s", [ref_id])
    purge = "UPDATE storekit.part SET state = 'purging' WHERE part_id = %s"
    assert refuses(database, purge, part) == "SK002"
    with database.later(days=8):
        database.ask("UPDATE storekit.part SET legal_hold = true WHERE part_id = %s", part)
        assert refuses(database, purge, part) == "SK002"
        database.ask("UPDATE storekit.part SET legal_hold = false WHERE part_id = %s", part)
        database.ask(purge, part)
