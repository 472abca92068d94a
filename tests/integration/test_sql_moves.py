"""State machines in the database: every kind of write is limited to the declared transitions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product

import psycopg
import pytest

from storekit.ids import new_id, new_ref_id
from tests.support.postgres import BASE, MUTABLE, SOFT_DELETE, Database, sample_database
from tests.support.write_api import Api, change_op, events, insert_op, refused

STATES = ("pending", "confirmed", "in_fulfillment", "shipped", "delivered", "refunded")
MOVES = {
    ("pending", "confirmed"),
    ("confirmed", "in_fulfillment"),
    ("confirmed", "refunded"),
    ("in_fulfillment", "shipped"),
    ("shipped", "delivered"),
    ("delivered", "refunded"),
}
_MOVES = ", ".join(f"('orders', 'status', '{a}', '{b}')" for a, b in [("", "pending"), *sorted(MOVES)])
TABLES = f"""
CREATE TYPE order_status AS ENUM ({", ".join(f"'{state}'" for state in STATES)});
CREATE TABLE orders ({BASE}{MUTABLE}{SOFT_DELETE},
    status order_status NOT NULL DEFAULT 'pending', note text);
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES {_MOVES};
SELECT storekit.manage('orders');
CREATE TABLE plain_notes ({BASE}{MUTABLE}, title text);
SELECT storekit.manage('plain_notes');
"""


@pytest.fixture(scope="module")
def database(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(cluster, tmp_path_factory.mktemp("lines"), TABLES) as made:
        yield made


@pytest.fixture
def api(database: Database) -> Iterator[Api]:
    with database.connect() as connection:
        yield Api(connection)


def force(database: Database, ref_id: str, state: str) -> None:
    """Set the state without the machine, then the note: a move that is the last change is a repetition."""
    database.ask("ALTER TABLE orders DISABLE TRIGGER storekit_move")
    database.ask("UPDATE orders SET status = %s::order_status WHERE ref_id = %s", state, ref_id)
    database.ask("ALTER TABLE orders ENABLE TRIGGER storekit_move")
    database.ask("UPDATE orders SET note = 'forced' WHERE ref_id = %s", ref_id)


def order(api: Api) -> str:
    return api.insert("orders", note="x")


def move(api: Api, ref_id: str, to: str, **more: object) -> dict[str, object]:
    values = {"p_reason": None, "p_expected_version": None} | more
    return api.call(
        "transition_v1", p_write_id=new_id(), p_entity="orders", p_ref_id=ref_id, p_to=to, **values
    )


def move_by_hand(api: Api, ref_id: str, to: str) -> None:
    with api.connection.transaction():
        api.connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(api.tenant)])
        api.connection.execute("UPDATE orders SET status = %s::order_status WHERE ref_id = %s", [to, ref_id])


def status_of(database: Database, ref_id: str) -> str:
    ((found,),) = database.ask("SELECT status::text FROM orders WHERE ref_id = %s", ref_id)
    return str(found)


@pytest.mark.parametrize("how", ["transition", "commit", "by hand"])
@pytest.mark.parametrize(("start", "to"), list(product(STATES, STATES)))
def test_only_declared_transitions_are_allowed(
    database: Database, api: Api, how: str, start: str, to: str
) -> None:
    """Of all N x N pairs only the declared ones are allowed, for every kind of write."""
    ref_id = order(api)
    force(database, ref_id, start)
    stays = how != "transition" and start == to  # an update to the same state is not a transition
    allowed = stays or (start, to) in MOVES
    with nullcontext() if allowed else pytest.raises(psycopg.Error) as refused_move:
        match how:
            case "transition":
                move(api, ref_id, to)
            case "commit":
                api.commit(new_id(), [change_op("update", "orders", {"ref_id": ref_id, "status": to})])
            case _:
                move_by_hand(api, ref_id, to)
    assert status_of(database, ref_id) == (to if allowed else start)
    if refused_move is not None:
        assert refused_move.value.sqlstate == "SK410"
        assert json.loads(refused_move.value.diag.message_detail or "") == {
            "entity": "orders",
            "ref_id": ref_id,
            "from": start,
            "to": to,
            "allowed": sorted(b for a, b in MOVES if a == start),
        }


@pytest.mark.parametrize("state", STATES)
def test_only_initial_states_can_be_inserted(database: Database, api: Api, state: str) -> None:
    """Only a state that is declared as initial can be inserted."""
    if state == "pending":
        assert api.insert("orders", status=state)
    else:
        refused(api, insert_op("orders", [{"status": state}]), "SK410", "cannot start as")


def test_a_transition_records_an_event(database: Database, api: Api) -> None:
    """A transition records one event of its own type with before, after, actor, login and reason."""
    ref_id = order(api)
    assert move(api, ref_id, "confirmed", p_reason="paid by card")["rows"] == [["orders", ref_id, 2]]
    assert events(database, ref_id)[1:] == [
        ("orders.transitioned", 2, {"status": "pending"}, {"status": "confirmed"})
    ]
    assert database.ask(
        "SELECT actor, login, reason FROM storekit.event WHERE ref_id = %s AND version = 2", ref_id
    ) == [(api.actor, "app", "paid by card")]


def test_a_transition_can_be_replayed(database: Database, api: Api) -> None:
    """A transition that is sent again with the same write id returns its committed result."""
    ref_id, write = order(api), new_id()
    call = {"p_entity": "orders", "p_ref_id": ref_id, "p_to": "confirmed", "p_reason": None}
    for outcome in ("committed", "replay"):
        reply = api.call("transition_v1", p_write_id=write, p_expected_version=None, **call)
        assert reply["outcome"] == outcome
    assert len(events(database, ref_id)) == 2


def test_a_reason_applies_to_one_transition(database: Database, api: Api) -> None:
    """Later writes of the same transaction do not get the reason of a transition."""
    ref_id = order(api)
    with api.connection.transaction():
        move(api, ref_id, "confirmed", p_reason="paid")
        api.connection.execute("UPDATE orders SET note = 'later' WHERE ref_id = %s", [ref_id])
    reasons = database.ask("SELECT reason FROM storekit.event WHERE ref_id = %s ORDER BY version", ref_id)
    assert reasons == [(None,), ("paid",), (None,)]


def test_a_refused_transition_leaves_nothing(database: Database, api: Api) -> None:
    """A refused transition leaves no version, no event and no write."""
    ref_id, write = order(api), new_id()
    with pytest.raises(psycopg.Error):
        api.call(
            "transition_v1", p_write_id=write, p_entity="orders", p_ref_id=ref_id, p_to="shipped",
            p_reason="x", p_expected_version=None,
        )  # fmt: skip
    assert len(events(database, ref_id)) == 1
    assert database.ask("SELECT 1 FROM storekit.write WHERE write_id = %s", write) == []


def test_a_transition_checks_version_and_tenant(database: Database, api: Api) -> None:
    """A stale version is a conflict; an unknown, deleted or foreign record is not found."""
    ref_id = order(api)
    with pytest.raises(psycopg.Error) as conflict:
        move(api, ref_id, "confirmed", p_expected_version=7)
    assert conflict.value.sqlstate == "SK409"
    other, gone = order(Api(api.connection)), order(api)
    api.commit(new_id(), [change_op("delete", "orders", {"ref_id": gone})])
    for missing in (new_ref_id(), other, gone):
        with pytest.raises(psycopg.Error) as error:
            move(api, missing, "confirmed")
        assert error.value.sqlstate == "SK404"


def test_a_table_without_a_machine_refuses_transitions(database: Database, api: Api) -> None:
    """The error says what the class must declare."""
    with pytest.raises(psycopg.Error, match="no state machine") as error:
        api.call(
            "transition_v1", p_write_id=new_id(), p_entity="plain_notes", p_ref_id=new_ref_id(), p_to="x",
            p_reason=None, p_expected_version=None,
        )  # fmt: skip
    assert error.value.sqlstate == "SK400"


def test_a_machine_can_be_changed_and_removed(database: Database, api: Api) -> None:
    """manage() installs the machine of the current declarations, or none."""
    ref_id = order(api)
    before = database.ask("SELECT * FROM storekit.move")
    database.ask("INSERT INTO storekit.move VALUES ('orders', 'status', 'pending', 'shipped')")
    assert move(api, ref_id, "shipped")["outcome"] == "committed"
    database.ask("DELETE FROM storekit.move")
    database.ask("SELECT storekit.manage('orders')")
    try:
        api.commit(new_id(), [change_op("update", "orders", {"ref_id": ref_id, "status": "pending"})])
        assert events(database, ref_id)[-1][0] == "orders.updated"
    finally:
        for row in before:
            database.ask("INSERT INTO storekit.move VALUES (%s, %s, %s, %s)", *row)
        database.ask("SELECT storekit.manage('orders')")


def test_two_machines_in_one_table_are_refused(database: Database) -> None:
    """manage() accepts one state field per table."""
    with database.connect("postgres") as connection:
        connection.autocommit = False
        connection.execute("INSERT INTO storekit.move VALUES ('orders', 'phase', 'a', 'b')")
        with pytest.raises(psycopg.Error, match="one is all") as error:
            connection.execute("SELECT storekit.manage('orders')")
        assert error.value.sqlstate == "SK400"
        connection.rollback()
