"""The database tests itself: each file of schemas/postgres/tests is a case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration import tap
from tests.support.postgres import Database
from tests.support.shipped import shipped_database

FILES = sorted(tap.TESTS.glob("*.sql"))

# Everything that must be tested: its kind, the words that name it, and how many of that name there are.
# Private functions are left out: any change may divide them otherwise.
CATALOGUE = """
SELECT 'function_is', ARRAY[proname::text], count(*) FROM pg_proc
WHERE pronamespace::regnamespace::text IN ('storekit', 'report', 'public') AND (proname = 'manage' OR EXISTS (
    SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee <> proowner))
GROUP BY proname
UNION ALL
SELECT 'triggers?_(are|is|does)', ARRAY[relname::text, tgname::text], 1
FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'polic(ies_are|y_is)', ARRAY[relname::text, polname::text], 1
FROM pg_policy JOIN pg_class AS c ON c.oid = polrelid
"""


@pytest.fixture(scope="module")
def tapped(cluster: str) -> Iterator[Database]:
    """Make a database of what storekit ships, with pgTAP beside it."""
    with shipped_database(cluster) as database:
        tap.load(database)
        yield database


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_schema_holds(tapped: Database, file: Path) -> None:
    """Whatever the file says of its topic is so."""
    failed = tap.run(tapped, file.read_text(encoding="utf-8"))
    assert not failed, "\n".join(failed)


def untested(connection: psycopg.Connection) -> list[str]:
    """Name what no file tests: each is declared by an assertion, and a function is called besides."""
    texts = [text for file in FILES for _, text in tap.statements(file.read_text(encoding="utf-8"))]
    missing = []
    for assertion, words, times in connection.execute(CATALOGUE.encode()):
        named = [text for text in texts if all(re.search(rf"\b{word}\b", text) for word in words)]
        declared = [text for text in named if re.search(assertion, text)]
        called = assertion != "function_is" or any(
            re.search(rf"(storekit|report)\.\"?{words[0]}\b", text) for text in named if text not in declared
        )
        if len(declared) < times or not called:
            missing.append(".".join(words))
    return sorted(missing)


def test_every_public_function_trigger_and_policy_is_tested(reference: Database) -> None:
    """What is added to the schema is added to its tests."""
    with psycopg.connect(reference.url("postgres")) as connection:
        missing = untested(connection)
    assert not missing, f"schemas/postgres/tests say nothing of {', '.join(missing)}"


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ("CREATE FUNCTION storekit.fresh() RETURNS int LANGUAGE sql RETURN 1", "fresh"),
        ("CREATE FUNCTION storekit.commit_v1() RETURNS int LANGUAGE sql RETURN 1", "commit_v1"),
        ("CREATE TRIGGER part_moves BEFORE UPDATE ON storekit.write EXECUTE FUNCTION storekit.refuse_move()",
         "write.part_moves"),
        ("CREATE POLICY lookup ON tool_calls USING (true)", "tool_calls.lookup"),
    ],
)  # fmt: skip
def test_what_is_not_tested_is_named(reference: Database, added: str, named: str) -> None:
    """A new public function, overload, trigger or policy does not slip in under a known name."""
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute(added.encode())
        assert untested(connection) == [named]
        connection.rollback()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT plan(1);\nSELECT ok(false, 'it holds');", "not ok 1 - it holds"),
        ("SELECT plan(2);\nSELECT ok(true);", "planned [2], ran 1"),
        ("SELECT plan(1);\nSELECT ok(true);\nSELECT ok(true);", "planned [1], ran 2"),
        ("SELECT 1;", "planned nothing, ran 0"),
        ("SELECT plan(1);\n\n-- why\nSELECT ok(true)\n    FROM nowhere;", "line 4: 42P01"),
        (
            "SELECT plan(1);\nSELECT function_is('storekit.now()', 'date', 'invoker stable', 'bound');",
            "not ok 1",
        ),
    ],
)
def test_a_file_that_does_not_hold_fails(tapped: Database, text: str, told: str) -> None:
    """A failed line, a plan that was not kept and an error are told; nothing else of the file stays."""
    assert any(line.startswith(told) for line in tap.run(tapped, text))
