"""Shipped functions keep their signatures, so that older SDKs work with newer schemas."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from storekit.drivers.postgres.queries import reads
from storekit.ids import new_id, new_ref_id
from tests.support.postgres import Database

SHIPPED = {
    "stage_v1": "p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, "
    "p_lease interval, p_parts jsonb, p_targets jsonb",
    "renew_v1": "p_tenant uuid, p_actor text, p_write_id uuid, p_lease interval",
    "commit_v1": "p_tenant uuid, p_actor text, p_write_id uuid, p_key text, p_fingerprint bytea, "
    "p_parts jsonb, p_ops jsonb, p_on_behalf_of text, p_context jsonb",
    "abandon_v1": "p_tenant uuid, p_actor text, p_write_id uuid",
    "transition_v1": "p_tenant uuid, p_actor text, p_write_id uuid, p_entity text, p_ref_id text, p_to text, "
    "p_reason text, p_expected_version bigint, p_on_behalf_of text, p_context jsonb",
    "lookup_v1": "p_entity text, p_value text",
}
"""The released signatures; an entry is never changed or removed."""

OF_THE_WORKER = {
    "sequence_v1": "p_limit integer, p_margin interval",
    "relay_v1": "p_holder text, p_lease interval, p_limit integer",
    "relay_health_v1": "",
    "add_partition_v1": "",
    "lead_v1": "p_name text, p_holder text, p_for interval",
    "resign_v1": "p_name text, p_holder text",
}
"""The same for the functions that the worker calls."""

FIRST_RELEASE = {
    "stage": "SELECT storekit.stage_v1($1::uuid, $2::text, $3::uuid, $4::text, $5::bytea, $6::interval, "
    "$7::jsonb, $8::jsonb)",
    "commit": "SELECT storekit.commit_v1($1::uuid, $2::text, $3::uuid, $4::text, $5::bytea, $6::jsonb, "
    "$7::jsonb)",
    "renew": "SELECT storekit.renew_v1($1::uuid, $2::text, $3::uuid, $4::interval)",
    "abandon": "SELECT storekit.abandon_v1($1::uuid, $2::text, $3::uuid)",
    "read": 'SELECT e.ref_id, e."name", e."version" FROM (SELECT * FROM "public"."tasks" '
    "WHERE tenant_id = $1::uuid AND ref_id = $2 OFFSET 0) e",
}
"""The calls of the first SDK, literally."""


@pytest.mark.parametrize("function", SHIPPED)
def test_a_shipped_function_keeps_its_signature(database: Database, function: str) -> None:
    """One function of the name exists, with the shipped arguments, returning jsonb to the app."""
    assert database.ask(
        "SELECT pg_get_function_identity_arguments(oid), pg_get_function_result(oid), prosecdef, "
        "has_function_privilege('storekit_app', oid, 'EXECUTE') FROM pg_proc "
        "WHERE pronamespace = 'storekit'::regnamespace AND proname = %s",
        function,
    ) == [(SHIPPED[function], "jsonb", True, True)]


@pytest.mark.parametrize("function", OF_THE_WORKER)
def test_a_function_of_the_worker_keeps_its_signature(database: Database, function: str) -> None:
    """One function of the name exists, with the shipped arguments; the worker may call it, the app not."""
    assert database.ask(
        "SELECT pg_get_function_identity_arguments(oid),"
        " has_function_privilege('storekit_worker', oid, 'EXECUTE'),"
        " has_function_privilege('storekit_app', oid, 'EXECUTE') FROM pg_proc "
        "WHERE pronamespace = 'storekit'::regnamespace AND proname = %s",
        function,
    ) == [(OF_THE_WORKER[function], True, False)]


def test_functions_of_the_sdk_are_listed() -> None:
    """Every function that the SDK calls is listed, with the same argument names in the same order."""
    called = {
        name: ", ".join(f"{argument} {kind}" for argument, kind in arguments.items())
        for name, arguments in reads.FUNCTIONS.items()
    }
    assert called == SHIPPED


def test_every_versioned_function_is_listed(database: Database) -> None:
    """A new version of a function has a new name, and is listed here from the start."""
    found = database.ask(
        r"SELECT proname FROM pg_proc WHERE pronamespace = 'storekit'::regnamespace AND proname ~ '_v\d+$'"
    )
    assert {name for (name,) in found} == SHIPPED.keys() | OF_THE_WORKER.keys()


def test_calls_of_the_first_sdk_still_work(database: Database) -> None:
    """A save with a part, a renewal, a read and an abandoned write work as the first release sends them."""
    tenant, write, ref_id, part = str(uuid4()), new_id(), new_ref_id(), str(new_id())
    who = (tenant, "agent:old", write)
    described = {
        "part_id": part,
        "entity": "tasks",
        "ref_id": ref_id,
        "field": "transcript",
        "size": 2,
        "sha256": "\\x" + "ab" * 32,
        "media_type": "text/plain",
        "filename": None,
        "expires_on": None,
    }
    row = {
        "id": str(new_id()),
        "ref_id": ref_id,
        "name": "x",
        "transcript_ref": part,
        "expected_version": None,
    }
    operation = {
        "entity": "tasks",
        "op": "insert",
        "columns": ["name"],
        "refs": ["transcript"],
        "rows": [row],
    }
    with database.connect() as connection:

        def ask(name: str, *values: object) -> object:
            wire = [json.dumps(v) if isinstance(v, list) else v for v in values]
            text = FIRST_RELEASE[name]
            for place in range(len(wire), 0, -1):
                text = text.replace(f"${place}", f"%({place})s")
            named = {str(place): value for place, value in enumerate(wire, 1)}
            found = connection.execute(text.encode(), named).fetchone()
            assert found is not None
            return found if len(found) > 1 else found[0]

        staged = ask("stage", *who, "key", b"same", "60 seconds", [described], [])
        renewed = ask("renew", *who, "60 seconds")
        parts = [{"part_id": part, "version_id": "v1", "size": None, "sha256": None}]
        committed = ask("commit", *who, "key", b"same", parts, [operation])
        assert [reply["outcome"] for reply in (staged, renewed, committed)] == [  # type: ignore[index]
            "staged",
            "renewed",
            "committed",
        ]
        assert committed["rows"] == [["tasks", ref_id, 1]]  # type: ignore[index]
        with connection.transaction():
            connection.execute("SELECT set_config('storekit.tenant', %s, true)", [tenant])
            assert ask("read", tenant, ref_id) == (ref_id, "x", 1)
        assert ask("abandon", tenant, "agent:old", new_id()) == {"outcome": "aborted"}
