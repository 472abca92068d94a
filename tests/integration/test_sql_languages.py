"""Errors do not depend on the language of the server's messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from storekit import ConfigurationError, ConstraintViolation, Scope, Settings, Store, Unavailable
from storekit.agency import ActivityRun, ActivityRunStatus, LlmCall
from tests.support.postgres import BINARIES, Database, fresh_cluster
from tests.support.shipped import shipped_database

_DEBIAN = Path("/usr/lib/postgresql/15/bin")
_GERMAN = Path("/usr/share/locale/de/LC_MESSAGES/postgres-15.mo")
LANGUAGES = {"en": BINARIES} | ({"de": _DEBIAN} if _GERMAN.exists() else {})
"""The embedded server has no translations; Debian's package postgresql-15 has them."""
DIVISION = {"en": "division by zero", "de": "Division durch Null"}


@pytest.fixture(scope="module", params=LANGUAGES)
def server(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Start a server with messages in this language. Its locale is C.UTF-8, which lets LANGUAGE decide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", request.param)
        with fresh_cluster(LANGUAGES[request.param]) as cluster, shipped_database(cluster) as database:
            with pytest.raises(psycopg.errors.DivisionByZero, match=DIVISION[request.param]):
                database.ask("SELECT 1 / 0")
            yield database


@pytest.fixture
def scope(server: Database) -> Iterator[Scope]:
    with Store.open(Settings(postgres_url=SecretStr(server.url("app")))) as store:
        yield store.scope(tenant=uuid4(), actor="test")


def run(**columns: object) -> ActivityRun:
    return ActivityRun(activity="research", agent="scout", **columns)  # type: ignore[arg-type]


def call(run: ActivityRun) -> LlmCall:
    return LlmCall(run_id=run.id, model="m", input_tokens=1, output_tokens=1, cost=0)  # type: ignore[arg-type]


def test_missing_parents_and_remaining_children_are_two_errors(scope: Scope) -> None:
    """A missing parent and a record that others refer to raise different errors, despite one SQLSTATE."""
    runs, calls = scope.repository(ActivityRun), scope.repository(LlmCall)
    with pytest.raises(
        ConstraintViolation, match=r"run_id refers to a record that does not exist in this tenant"
    ):
        calls.save(call(run()))
    parent = runs.save(run())
    calls.save(call(parent))
    with pytest.raises(ConstraintViolation, match=r"other records still refer to this one \(\w*run_id"):
        runs.delete(parent.ref_id)


def test_the_failed_operation_of_a_unit_decides_the_error(scope: Scope) -> None:
    """If a unit of work inserts and deletes, the error is that of the operation that failed."""
    runs, calls = scope.repository(ActivityRun), scope.repository(LlmCall)
    parent = runs.save(run())
    calls.save(call(parent))

    def swap() -> None:
        with scope.transaction() as tx:
            tx.save(call(runs.save(run())))
            tx.delete(ActivityRun, parent.ref_id)

    with pytest.raises(ConstraintViolation, match="other records still refer to this one"):
        swap()


def test_an_unknown_enum_label_is_a_configuration_error(server: Database, scope: Scope) -> None:
    """A label that only the class has is a ConfigurationError; a value out of range is a ValidationError."""
    server.ask("ALTER TYPE activity_runs_status RENAME VALUE 'running' TO 'walking'")
    try:
        with pytest.raises(ConfigurationError, match="run storekit schema diff"):
            scope.repository(ActivityRun).save(run(status=ActivityRunStatus.RUNNING))
    finally:
        server.ask("ALTER TYPE activity_runs_status RENAME VALUE 'walking' TO 'running'")


SAID = {
    "en": "refused app: database .* does not exist",
    "de": "the server said: Datenbank »gone« existiert nicht",
}


def test_a_failed_login_quotes_the_server(server: Database, request: pytest.FixtureRequest) -> None:
    """An English refusal is a ConfigurationError at once; in other languages the error quotes the server."""
    url = server.url("app").replace(server.name, "gone")
    settings = Settings(postgres_url=SecretStr(url), timeout=timedelta(seconds=1))
    with (
        Store.open(settings) as store,
        pytest.raises((ConfigurationError, Unavailable), match=SAID[request.node.callspec.params["server"]]),
    ):
        store.scope(tenant=uuid4(), actor="test").repository(ActivityRun).get("0" * 26)
