"""Parts: no dangling ref, no forbidden state change."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database
from tests.support.write_api import Api, blob_part, change_op, saved


def move(database: Database, part_id: UUID, change: str) -> None:
    """Change a part as a superuser, so that only triggers and keys apply."""
    database.ask(f"UPDATE storekit.part SET {change} WHERE part_id = %s", part_id)


def test_refs_require_live_parts(database: Database, api: Api) -> None:
    """A foreign key protects referenced parts, even of deleted rows, and refuses refs to pending parts."""
    ref_id, part_id = saved(api)
    with database.later(minutes=10), pytest.raises(psycopg.errors.ForeignKeyViolation):
        move(database, part_id, "state = 'purging', purge_after = storekit.now()")
    api.stage(new_id(), [pending := blob_part(ref_id)])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        database.ask(
            "WITH t AS (SELECT set_config('storekit.tenant', %s, true))"
            " UPDATE tasks SET transcript_ref = %s FROM t WHERE ref_id = %s",
            str(api.tenant), pending["part_id"], ref_id,
        )  # fmt: skip
    api.commit(new_id(), [change_op("delete", "tasks", {"ref_id": ref_id})])
    with database.later(minutes=10), pytest.raises(psycopg.errors.ForeignKeyViolation):
        move(database, part_id, "state = 'purging', purge_after = storekit.now()")


LEGAL = {("pending", "committed"), ("pending", "aborted"), ("committed", "purging"), ("aborted", "swept"),
         ("purging", "swept"), ("swept", "gone")}  # fmt: skip
STATES = ("pending", "committed", "aborted", "purging", "swept", "gone")


def part_in(database: Database, state: str) -> UUID:
    """Create a part in a state, with an expired signature and ready to be purged."""
    tenant, write, part_id, ref_id = uuid4(), new_id(), new_id(), new_ref_id()
    database.ask(
        "INSERT INTO storekit.write (tenant_id, write_id, state, actor, finished_on)"
        " VALUES (%s, %s, 'aborted', 'x', now())",
        tenant, write,
    )  # fmt: skip
    database.ask(
        "INSERT INTO storekit.part (tenant_id, part_id, write_id, state, entity, ref_id, field, store, key,"
        " size, sha256, sign_until, purge_after) VALUES (%s, %s, %s, %s, 'e', %s, 'f', 'mongo', 'c',"
        " 1, %s, now() - interval '1 minute', now())",
        tenant, part_id, write, state, ref_id, b"x" * 32,
    )  # fmt: skip
    return part_id


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_only_declared_state_changes_are_allowed(database: Database, before: str, after: str) -> None:
    """Of all pairs of states only the declared ones are allowed; only a part in state gone can be deleted."""
    part_id = part_in(database, before)
    if before == after or (before, after) in LEGAL:
        move(database, part_id, f"state = '{after}'")
        return
    with pytest.raises(psycopg.Error) as caught:
        move(database, part_id, f"state = '{after}'")
    assert caught.value.sqlstate == "SK002"


@pytest.mark.parametrize("state", STATES)
def test_only_parts_in_state_gone_can_be_deleted(database: Database, state: str) -> None:
    """The row of a part exists at least as long as its bytes."""
    part_id = part_in(database, state)
    if state == "gone":
        database.ask("DELETE FROM storekit.part WHERE part_id = %s", part_id)
        return
    with pytest.raises(psycopg.Error, match=f"be deleted while {state}"):
        database.ask("DELETE FROM storekit.part WHERE part_id = %s", part_id)


@pytest.mark.parametrize(
    "change",
    [
        "legal_hold = true, state = 'purging'",
        "retain_until = now() + interval '1 day', state = 'purging'",
        "purge_after = NULL, state = 'purging'",
        "purge_after = now() + interval '1 hour', state = 'purging'",
        "sign_until = now() + interval '1 minute', state = 'purging'",
        "sign_until = sign_until - interval '1 second'",
        "ref_id = '00000000000000000000000000'",
        "key = 'elsewhere'",
        "write_id = gen_random_uuid()",
    ],
)
def test_hold_retention_and_signature_forbid_the_purge(database: Database, change: str) -> None:
    """A part with a hold, retention, a later date or a valid signature is not purged; ids are fixed."""
    with pytest.raises(psycopg.Error) as caught:
        move(database, part_in(database, "committed"), change)
    assert caught.value.sqlstate == "SK002"


def test_retention_only_grows(database: Database) -> None:
    """A retention date can only move to a later time, and cannot be removed."""
    part_id = part_in(database, "committed")
    move(database, part_id, "retain_until = '2040-01-01'")
    move(database, part_id, "retain_until = '2041-01-01'")
    for less in ("'2040-12-31'", "NULL"):
        with pytest.raises(psycopg.Error, match="shorten its retention"):
            move(database, part_id, f"retain_until = {less}")


def test_the_format_of_s3_keys(database: Database) -> None:
    """A constraint requires the S3 key tenant/entity/ref_id/field/part id."""
    with pytest.raises(psycopg.errors.CheckViolation, match="part_key"):
        database.ask(
            "INSERT INTO storekit.part (tenant_id, part_id, write_id, entity, ref_id, field, store, key,"
            " sign_until) VALUES (%s, %s, %s, 'e', %s, 'f', 's3', 'e/f', now())",
            uuid4(), new_id(), new_id(), new_ref_id(),
        )  # fmt: skip
