"""Idempotency keys: which write holds a key, which waits, which takes over."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database
from tests.support.write_api import Api, blob_part, change_op, insert_op, states, uploaded

LEASE = timedelta(seconds=60)
OLD = UUID(int=(new_id().int & ~(0xFFFF_FFFF_FFFF << 80)) | (1_600_000_000_000 << 80))


def test_a_key_replays_its_first_commit(api: Api) -> None:
    """The same key and request returns the first result, from stage and from commit, and writes nothing."""
    winner = new_id()
    rows = api.commit(winner, [insert_op("jobs", [{"title": "a"}])], key="k1")["rows"]
    replay = {"outcome": "replay", "write_id": str(winner), "result": {"rows": rows}}
    assert api.stage(new_id(), [blob_part(new_ref_id())], key="k1") == replay
    assert api.commit(new_id(), [insert_op("jobs", [{"title": "a"}])], key="k1") == replay


def test_a_key_is_bound_to_its_request(api: Api) -> None:
    """The same key with another fingerprint is refused, while the first write is pending and afterwards."""
    api.stage(new_id(), key="bound")
    assert api.stage(new_id(), key="bound", request=b"other") == {"outcome": "mismatch"}
    op = insert_op("jobs", [{"title": "a"}])
    assert api.commit(new_id(), [op], key="bound", request=b"other") == {"outcome": "mismatch"}


def test_keys_are_separate_for_each_tenant(api: Api) -> None:
    """A key of one tenant has no effect on another tenant."""
    api.commit(new_id(), [insert_op("jobs", [{"title": "a"}])], key="shared")
    api.tenant = uuid4()
    op = insert_op("jobs", [{"title": "b"}])
    assert api.commit(new_id(), [op], key="shared", request=b"b")["outcome"] == "committed"


def test_a_pending_key_is_held_until_its_lease_ends(database: Database, api: Api) -> None:
    """A running lease protects its key; after it expires the next write takes over the key and its parts."""
    first, second = new_id(), new_id()
    api.stage(first, [blob_part(new_ref_id())], key="leased")
    held = api.stage(second, key="leased")
    assert held["outcome"] == "held"
    assert 0 < held["lease_left"] <= LEASE.total_seconds()
    with database.later(seconds=61):
        assert api.stage(second, key="leased")["outcome"] == "staged"
    assert states(database, first) == ["aborted", "aborted"]


def test_a_commit_without_parts_takes_over_an_expired_key(database: Database, api: Api) -> None:
    """A write without parts waits for a running lease on its key, and takes over an expired one."""
    expired, op = new_id(), insert_op("jobs", [{"title": "a"}])
    api.stage(expired, key="expired")
    assert api.commit(new_id(), [op], key="expired")["outcome"] == "held"
    with database.later(seconds=61):
        assert api.commit(new_id(), [op], key="expired")["outcome"] == "committed"
    assert states(database, expired) == ["aborted"]


def test_a_write_that_was_taken_over_creates_nothing(database: Database, api: Api) -> None:
    """stage, renew and commit return `lost` to a writer whose write was taken over."""
    write, ref_id = new_id(), new_ref_id()
    api.stage(write, [part := blob_part(ref_id)], key="taken")
    with database.later(seconds=61):
        api.stage(new_id(), key="taken")
    op = insert_op(
        "tasks", [{"ref_id": ref_id, "name": "x", "transcript_ref": part["part_id"]}], ["transcript"]
    )
    assert api.commit(write, [op], uploaded(part), key="taken") == {"outcome": "lost"}
    assert api.renew(write) == {"outcome": "lost"}
    assert api.stage(write, [part], key="taken") == {"outcome": "lost"}
    assert database.ask("SELECT 1 FROM tasks WHERE ref_id = %s", ref_id) == []


def test_a_write_staged_without_parts_commits_under_its_own_key(api: Api) -> None:
    """A write does not wait for itself."""
    api.stage(write := new_id(), key="own")
    assert api.commit(write, [insert_op("jobs", [{"title": "a"}])], key="own")["outcome"] == "committed"


def test_abandon_frees_the_key_at_once(database: Database, api: Api) -> None:
    """Abandoning a pending write aborts it with its parts and frees its key."""
    api.stage(write := new_id(), [blob_part(new_ref_id())], key="free")
    assert api.abandon(write) == {"outcome": "aborted"}
    assert api.abandon(write) == {"outcome": "aborted"}
    assert states(database, write) == ["aborted", "aborted"]
    assert api.stage(new_id(), key="free")["outcome"] == "staged"


def test_a_committed_key_replays_after_later_changes(api: Api) -> None:
    """A retry of a committed update returns its result, even if the record has changed since."""
    ref_id = api.insert()
    row = {"ref_id": ref_id, "expected_version": 1, "title": "z"}
    api.commit(new_id(), [change_op("update", "jobs", row)], key="again")
    targets = [{"entity": "jobs", "ref_id": ref_id, "expected_version": 1}]
    assert api.stage(new_id(), key="again", targets=targets)["outcome"] == "replay"
