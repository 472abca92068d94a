"""The pgTAP tests: each file of schemas/postgres/tests is a case."""

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

# Everything that must be tested: its assertion, the words of its name, and the number of such objects.
# A function is public if a role other than its owner may execute it; manage() is too: migrations call it.
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
    """Create a database with the shipped schema and pgTAP."""
    with shipped_database(cluster) as database:
        tap.load(database)
        yield database


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_schema_satisfies_its_tests(tapped: Database, file: Path) -> None:
    """All assertions of the file hold."""
    failed = tap.run(tapped, file.read_text(encoding="utf-8"))
    assert not failed, "\n".join(failed)


def untested(connection: psycopg.Connection) -> list[str]:
    """Return the untested objects: an assertion must declare each, and functions must also be called."""
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
    """Every function that a role may execute, every trigger and every policy is tested."""
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
def test_untested_objects_are_reported(reference: Database, added: str, named: str) -> None:
    """A new public function, overload, trigger or policy without a test is reported."""
    with psycopg.connect(reference.url("postgres")) as connection:
        connection.execute(added.encode())
        assert untested(connection) == [named]
        connection.rollback()


@pytest.mark.parametrize(
    ("text", "failure"),
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
def test_a_failing_file_is_reported(tapped: Database, text: str, failure: str) -> None:
    """A failed assertion, a wrong plan and an error are reported, and the file is rolled back."""
    assert any(line.startswith(failure) for line in tap.run(tapped, text))
