"""Load and run the pgTAP tests of schemas/postgres/tests, and report failures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support.postgres import Database

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "schemas" / "postgres" / "tests"
FRAMEWORK = [ROOT / "tests" / "vendor" / "pgtap" / "pgtap.sql", *sorted((TESTS / "support").glob("*.sql"))]


def load(database: Database) -> None:
    """Load pgTAP and the shared fixtures into schema `tap` with plain SQL."""
    with database.connect("postgres") as connection:
        connection.execute("CREATE SCHEMA tap; GRANT USAGE ON SCHEMA tap TO PUBLIC; SET search_path = tap")
        for file in FRAMEWORK:
            connection.execute(file.read_bytes())


def run(database: Database, text: str) -> list[str]:
    """Run one file as a superuser, roll it back, and return the failures."""
    lines = list[str]()
    with psycopg.connect(database.url("postgres")) as connection:
        connection.execute("SET search_path = tap, public")
        for number, statement in statements(text):
            try:
                cursor = connection.execute(statement.encode())
            except psycopg.Error as error:
                return [*verdict(lines), f"line {number}: {error.sqlstate} {error}"]
            if cursor.description:
                lines += [line for value, *_ in cursor for line in str(value).splitlines()]
        connection.rollback()
    return verdict(lines)


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Split a file into statements: continuation lines are indented."""
    for match in re.finditer(r"^(?!--)\S.*(?:\n(?!\S).*)*", text, re.MULTILINE):
        yield text.count("\n", 0, match.start()) + 1, match[0]


def verdict(lines: list[str]) -> list[str]:
    """Parse TAP: return each failed test with its diagnosis, and a wrong plan."""
    results, planned = list[str](), list[int]()
    for line in lines:
        if plan := re.match(r"1\.\.(\d+)", line):
            planned.append(int(plan[1]))
        elif re.match(r"(not )?ok \d", line):
            results.append(line)
        elif line.startswith("#") and results:
            results[-1] += f"\n{line}"
    failed = [result for result in results if result.startswith("not")]
    if planned != [len(results)]:
        failed.append(f"planned {planned or 'nothing'}, ran {len(results)}")
    return failed
