"""Two databases of storekit in one cluster share the roles, and neither lets the other's logins in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from storekit import ConfigurationError, Settings, Store, render
from storekit.drivers.postgres.admin.isolation import breaches
from storekit.drivers.postgres.admin.runner import connect, grant, migrate
from storekit.schema.lines import core
from tests.support.entities import Run
from tests.support.postgres import fresh_cluster, write_line

NAMES = ("staging", "production")


class Cluster:
    """A cluster with two databases, each with its own admin and its own login of an application."""

    def __init__(self, super_url: str) -> None:
        self.super_url = super_url

    def url(self, login: str, database: str) -> str:
        return make_conninfo(self.super_url, user=login, dbname=database)

    def run(self, *statements: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url("postgres", database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def store(self, login: str, database: str) -> Store:
        return Store.open(Settings(postgres_url=SecretStr(self.url(login, database))))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Set up both databases as the guide says; the second one needs the statements of the error."""
    line = write_line(tmp_path_factory.mktemp("line") / "app", "app", render(Run))
    with fresh_cluster() as url:
        cluster = Cluster(url)
        cluster.run("CREATE ROLE other_application LOGIN")
        for name in NAMES:
            cluster.run(
                f"CREATE ROLE {name}_admin LOGIN CREATEROLE",
                f"CREATE ROLE {name}_api LOGIN",
                f"CREATE DATABASE {name} OWNER {name}_admin",
            )
            try:
                migrate(cluster.url(f"{name}_admin", name), [core(), line])
            except ConfigurationError as error:  # on Postgres 16 and later, for the second one
                fact, _, remedy = str(error).partition("run this once as a superuser: ")
                if "another database of this cluster" not in fact:
                    raise
                cluster.run(*remedy.split("; "))
                migrate(cluster.url(f"{name}_admin", name), [core(), line])
            grant(cluster.url(f"{name}_admin", name), {"storekit_app": [f"{name}_api"]})
        yield cluster


@pytest.mark.parametrize("name", NAMES)
def test_each_database_serves_its_own_login(two: Cluster, name: str) -> None:
    """Each login saves and reads in its own database, and the check of the schema finds no breach."""
    with two.store(f"{name}_api", name) as store:
        runs = store.scope(tenant=uuid4(), actor="a").repository(Run)
        assert runs.get(runs.save(Run(name="x")).ref_id).name == "x"
    with connect(two.url(f"{name}_admin", name)) as connection:
        assert breaches(connection) == []


@pytest.mark.parametrize(("login", "name"), [("staging", "production"), ("production", "staging")])
def test_the_login_of_the_other_database_is_kept_out(two: Cluster, login: str, name: str) -> None:
    """A login that is a member of the same roles cannot connect; the error names the missing grant."""
    with two.store(f"{login}_api", name) as store:
        runs = store.scope(tenant=uuid4(), actor="a").repository(Run)
        with pytest.raises(
            ConfigurationError,
            match=f"denied for database {name}; GRANT CONNECT ON DATABASE {name} TO {login}_api",
        ):
            runs.find()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(two.url(f"{login}_admin", name))


@pytest.mark.parametrize("name", NAMES)
def test_logins_of_other_applications_keep_their_access(two: Cluster, name: str) -> None:
    """A login without any role of storekit can connect to the database as before."""
    psycopg.connect(two.url("other_application", name)).close()


def test_migrate_does_not_change_the_rights_again(two: Cluster) -> None:
    """A right to connect that was granted or revoked by hand stays as it is when migrate runs again."""
    acl = "SELECT datacl::text FROM pg_database WHERE datname = 'staging'"
    two.run("CREATE ROLE late LOGIN IN ROLE storekit_app")
    with psycopg.connect(two.url("postgres", "staging")) as connection:
        before = connection.execute(acl.encode()).fetchone()
        migrate(two.url("staging_admin", "staging"), [core()])
        connection.rollback()
        assert connection.execute(acl.encode()).fetchone() == before


@pytest.mark.parametrize(
    "name", ["a@b", "a/b", "100%", "two words", "Capital", 'a"b', "a'b", "äöü", "a?b#c&d=e"]
)
def test_any_name_of_a_database_works(two: Cluster, tmp_path: Path, name: str) -> None:
    """A database with any name is migrated and used; in a URL its name is percent-encoded."""
    from urllib.parse import quote

    at = two.super_url.partition("@")[2].partition("/")[0]
    admin, app = (f"postgresql://staging_{login}@{at}/{quote(name, safe='')}" for login in ("admin", "api"))
    quoted = '"' + name.replace('"', '""') + '"'
    two.run(f"CREATE DATABASE {quoted} OWNER staging_admin")
    line = write_line(tmp_path / "app", "app", render(Run))
    settings = Settings(postgres_url=SecretStr(app), postgres_admin_url=SecretStr(admin))
    with Store.open(settings) as store:
        store.migrate([line])
        runs = store.scope(tenant=uuid4(), actor="a").repository(Run)
        with pytest.raises(ConfigurationError) as refused:
            runs.find()
        assert f"GRANT CONNECT ON DATABASE {quoted}" in str(refused.value)
        grant(admin, {"storekit_app": ["staging_api"]})
    with Store.open(settings) as store:
        runs = store.scope(tenant=uuid4(), actor="a").repository(Run)
        assert runs.get(runs.save(Run(name="x")).ref_id).name == "x"
