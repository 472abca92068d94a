"""Sessions and servers on which storekit cannot keep its promises are refused with a typed error."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from storekit import ConfigurationError, Unavailable, UsageError
from storekit.drivers.postgres.admin.runner import migrate
from storekit.schema.lines import core
from tests.integration.papers import Paper, opened, papers_database
from tests.support.postgres import Database, standby


@pytest.fixture(scope="module")
def papers(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with papers_database(cluster, tmp_path_factory.mktemp("papers")) as made:
        yield made


def test_sessions_without_triggers_are_refused(papers: Database) -> None:
    """A login whose sessions run no triggers would record no events: it is refused, as is a write in such a
    session."""
    papers.ask("ALTER ROLE app SET session_replication_role = replica")
    papers.ask("ALTER ROLE admin SET session_replication_role = replica")
    try:
        with (
            opened(papers) as store,
            pytest.raises(ConfigurationError, match="session_replication_role is replica"),
        ):
            store.scope(tenant=uuid4(), actor="test").repository(Paper).save(Paper(name="x"))
        with pytest.raises(ConfigurationError, match="session_replication_role is replica"):
            migrate(papers.url("admin"), [core()])
        with papers.connect("app") as app, pytest.raises(psycopg.Error) as caught:
            app.execute("SELECT storekit.abandon_v1(%s, 'x', storekit.new_id())", [uuid4()])
        assert caught.value.sqlstate == "SK412"
    finally:
        papers.ask("ALTER ROLE app RESET ALL")
        papers.ask("ALTER ROLE admin RESET ALL")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_databases_of_another_encoding_are_refused(papers: Database, encoding: str) -> None:
    """A database whose text is not UTF-8 is refused when a connection is opened, before anything is
    stored."""
    with psycopg.connect(papers.super_url, autocommit=True) as root:
        name = f"other_{encoding.lower()}"
        root.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C' OWNER admin".encode()
        )
        try:
            database = Database(papers.super_url, name)
            with (
                opened(database) as store,
                pytest.raises(ConfigurationError, match=f"server_encoding is {encoding}"),
            ):
                store.scope(tenant=uuid4(), actor="test").repository(Paper).find()
            with opened(database) as store:
                assert f"server_encoding is {encoding}" in store.check().stores[0].problems[0].what
            with pytest.raises(ConfigurationError, match=f"server_encoding is {encoding}"):
                migrate(database.url("admin"), [core()])
        finally:
            root.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_joined_connection_of_another_encoding_is_refused(papers: Database) -> None:
    """A unit of work does not join a connection on which text would be converted."""
    with (
        opened(papers) as store,
        psycopg.connect(papers.url("app"), client_encoding="latin1") as own,
        pytest.raises(UsageError, match="client_encoding is LATIN1"),
        own.transaction(),
        store.scope(tenant=uuid4(), actor="test").transaction(within=own) as tx,
    ):
        tx.save(Paper(name="x"))


def test_a_standby_reads_and_is_unavailable_for_writes(papers: Database) -> None:
    """A standby answers reads; a write and a migration raise Unavailable, because another server can take
    them."""
    with opened(papers) as store:
        scope = store.scope(tenant=uuid4(), actor="test")
        saved = scope.repository(Paper).save(Paper(name="x"))
    with standby(papers.super_url) as url:
        copy = Database(url, papers.name)
        with opened(copy) as store:
            assert "is a standby" in store.check().stores[0].problems[0].what
            papers_there = store.scope(tenant=saved.tenant_id, actor="test").repository(Paper)
            for _ in range(2):
                with pytest.raises(Unavailable, match="read-only"):
                    papers_there.save(Paper(name="y"))
                assert papers_there.get(saved.ref_id).name == "x"
            with (
                pytest.raises(Unavailable, match="read-only"),
                store.scope(tenant=saved.tenant_id, actor="test").transaction() as tx,
            ):
                tx.save(Paper(name="y"))
        with pytest.raises(Unavailable):
            migrate(copy.url("admin"), [core()])
