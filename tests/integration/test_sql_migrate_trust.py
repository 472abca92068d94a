"""`migrate` refuses a database in which SQL could run code of another role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from storekit.drivers.postgres.admin.connect import connect
from storekit.drivers.postgres.admin.isolation import breaches
from storekit.drivers.postgres.admin.runner import migrate
from storekit.errors import ConfigurationError
from storekit.schema.lines import core
from tests.support.postgres import BASE, Database, fresh_database, write_line

OWN = f"""CREATE SCHEMA IF NOT EXISTS billing; CREATE TABLE billing.bills ({BASE});
SELECT storekit.manage('billing.bills')"""


@pytest.fixture
def database(cluster: str) -> Iterator[Database]:
    """Create a database without storekit, in a cluster that has a login without any right."""
    with fresh_database(cluster) as made:
        made.ask(
            "DO $$ BEGIN IF to_regrole('stranger') IS NULL THEN CREATE ROLE stranger LOGIN; END IF; END $$"
        )
        yield made


def refusal(database: Database, *lines: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        migrate(database.url("admin"), [core(), *lines])  # type: ignore[list-item]
    return str(caught.value)


_FOREIGN = "ALTER SCHEMA public OWNER TO postgres; "
PRIVILEGES = {
    f"{_FOREIGN} GRANT CREATE ON SCHEMA public TO PUBLIC": "PUBLIC may create objects in schema public",
    f"{_FOREIGN} GRANT CREATE ON SCHEMA public TO PUBLIC, stranger": "PUBLIC, stranger may",
    "GRANT CREATE ON SCHEMA public TO stranger": "stranger may create objects in schema public",
    """ALTER SCHEMA public OWNER TO stranger;
    GRANT ALL ON SCHEMA public TO admin WITH GRANT OPTION""": "stranger may create",
    """CREATE SCHEMA storekit AUTHORIZATION storekit_owner;
    GRANT CREATE ON SCHEMA storekit TO stranger""": "schema storekit",
}


@pytest.mark.parametrize("granted", PRIVILEGES)
def test_a_schema_in_which_others_create_is_refused(database: Database, granted: str) -> None:
    """Where somebody else may create objects in a schema that storekit reads, migrate applies nothing, and
    the statement that its error names is the remedy."""
    migrate_roles(database)
    database.ask(granted)
    said = refusal(database)
    assert PRIVILEGES[granted] in said
    assert database.ask("SELECT to_regclass('storekit.part')") == [(None,)]
    remedy = re.search(r"run ((?:REVOKE|ALTER) .*?), as", said)
    assert remedy
    database.ask(remedy[1])
    assert migrate(database.url("admin"), [core()])


@pytest.mark.parametrize(
    "granted",
    [
        "GRANT CREATE ON SCHEMA public TO stranger",
        "GRANT CREATE ON SCHEMA storekit TO stranger",
        "ALTER SCHEMA public OWNER TO stranger; GRANT ALL ON SCHEMA public TO admin WITH GRANT OPTION",
    ],
)
def test_the_check_finds_what_migrate_refuses(database: Database, granted: str) -> None:
    """`schema check` names the same role and the same statement as the error of `migrate`."""
    migrate(database.url("admin"), [core()])
    database.ask(granted)
    pattern = "^(stranger may create objects in schema .*?), and SQL .*run (.*), and then"
    said = re.search(pattern, refusal(database))
    assert said
    with connect(database.url("admin")) as connection:
        assert f"{said[1]}; {said[2]}" in breaches(connection)


def migrate_roles(database: Database) -> None:
    """Create the roles, which belong to the cluster, as another database of it would have done."""
    with fresh_database(database.super_url) as other:
        migrate(other.url("admin"), [core()])


def test_an_open_schema_of_the_admin_is_closed(database: Database) -> None:
    """If the admin owns schema public, as the owner of the database does, migrate itself revokes CREATE from
    PUBLIC."""
    database.ask("GRANT CREATE ON SCHEMA public TO PUBLIC")
    migrate(database.url("admin"), [core()])
    assert database.ask("SELECT has_schema_privilege('stranger', 'public', 'CREATE')") == [(False,)]


def test_the_schemas_of_entities_are_checked(database: Database, tmp_path: Path) -> None:
    """The schema of a managed table counts, from the migration on that creates the table."""
    own = write_line(tmp_path / "own", "own", OWN)
    database.ask("CREATE SCHEMA billing; GRANT ALL ON SCHEMA billing TO PUBLIC")
    for _ in range(2):
        assert "PUBLIC may create objects in schema billing" in refusal(database, own)
    database.ask("REVOKE CREATE ON SCHEMA billing FROM PUBLIC")
    assert migrate(database.url("admin"), [core(), own]) == []


OVERLOADS = {
    "CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1'": (
        "DROP FUNCTION format(text,text)"
    ),
    "CREATE FUNCTION public.tidy(text) RETURNS text LANGUAGE sql AS 'SELECT $1'": "DROP FUNCTION tidy(text)",
    """CREATE FUNCTION public.same(text, int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE OPERATOR public.= (FUNCTION = public.same, LEFTARG = text, RIGHTARG = int)""": (
        "DROP OPERATOR =(text,integer)"
    ),
}


@pytest.mark.parametrize("planted", OVERLOADS)
def test_overloads_of_others_are_refused(database: Database, tmp_path: Path, planted: str) -> None:
    """A function or operator that somebody else left in schema public, with the name of one that a migration
    of the user can call, is refused before such a migration runs; those of the admin and of extensions are
    not."""
    own = write_line(tmp_path / "own", "own", "SELECT 1")
    database.ask("GRANT CREATE ON SCHEMA public TO PUBLIC")
    database.ask("CREATE FUNCTION public.tidy(int) RETURNS int LANGUAGE sql AS 'SELECT $1'", login="admin")
    database.ask("CREATE FUNCTION public.lower(int) RETURNS int LANGUAGE sql AS 'SELECT $1'", login="admin")
    for text in planted.split(";"):
        database.ask(text, login="stranger")
    database.ask("CREATE FUNCTION public.harmless() RETURNS int LANGUAGE sql AS 'SELECT 1'", login="stranger")
    said = refusal(database, own).replace("public.", "")
    assert OVERLOADS[planted] in said
    assert "of role stranger" in said
    database.ask("DROP OWNED BY stranger")
    assert str(migrate(database.url("admin"), [core(), own])[-1]) == "own 0001_step.sql"


def test_files_find_tables_of_schema_public(database: Database, tmp_path: Path) -> None:
    """A file of the user may name tables of schema public without the schema, also one without a
    transaction."""
    alone = (
        "-- storekit: no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS bills_by_title ON bills (title)"
    )
    own = write_line(tmp_path / "own", "own", "CREATE TABLE bills (title text)", alone)
    migrate(database.url("admin"), [core(), own])
    with database.connect("postgres") as root, pytest.raises(psycopg.errors.DuplicateTable):
        root.execute("CREATE INDEX bills_by_title ON public.bills (title)")
