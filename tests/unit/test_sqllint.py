"""The linter of migration files: its findings, and how to allow one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.schema.lines import core, read, shipped
from storekit.schema.lint import lint

# The tables of an earlier file: `notes` is managed, `plain` is not.
BEFORE = """
CREATE TABLE notes (title text, body_id uuid);
CREATE TABLE plain (title text);
SELECT storekit.manage('public.notes');
ALTER TABLE plain ADD CONSTRAINT titled CHECK (title <> '') NOT VALID;
"""
AGAIN = "; SELECT storekit.manage('notes')"
MARK = "-- storekit: no transaction\n"
DECIDE = "-- storekit: decide: "


def rules(text: str) -> list[str]:
    """Return the rules with findings in a file that follows `BEFORE`."""
    before, found = lint([BEFORE, text])
    assert before == []
    return [finding.rule for finding in found]


UNSAFE = [
    ("clock", "UPDATE plain SET title = now()::text"),
    ("clock", "ALTER TABLE plain ADD COLUMN on_ timestamptz DEFAULT CURRENT_TIMESTAMP"),
    (
        "clock",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM clock_timestamp(); END $$",
    ),
    ("clock", "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_catalog.now ()'"),
    (
        "clock",
        "CREATE FUNCTION f() RETURNS date LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT current_date; END",
    ),
    ("clock", "DO $$ BEGIN EXECUTE $x$ SELECT transaction_timestamp() $x$; END $$"),
    ("clock", "CREATE TABLE t (at timestamptz DEFAULT 'now'::timestamptz)"),
    ("session-setting", "SET storekit.tenant = 'a'"),
    ("session-setting", "SET SESSION storekit.tenant TO 'a'"),
    ("session-setting", "ALTER ROLE api SET storekit.tenant = 'a'"),
    ("session-setting", "SELECT set_config('storekit.tenant', f(1, 2), false)"),
    ("session-setting", "SELECT pg_catalog.set_config('Storekit.Tenant', 'a', local)"),
    (
        "session-setting",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET storekit.actor = 'x'; END $$",
    ),
    ("do-block", "DO $$ BEGIN IF true THEN CREATE INDEX ON notes (title); END IF; END $$"),
    ("do-block", "DO $$ BEGIN ALTER TABLE plain DROP COLUMN title; END $$"),
    ("do-block", "DO $$ BEGIN DROP TABLE plain; END $$"),
    ("not-valid", "ALTER TABLE plain ADD COLUMN number int CHECK (number > 0)"),
    ("hidden-rows", "UPDATE notes SET title = '' WHERE title IS NULL"),
    ("hidden-rows", "UPDATE ONLY public.notes AS n SET title = '' WHERE n.title IS NULL"),
    ("hidden-rows", "DELETE FROM notes WHERE title IS NULL"),
    ("hidden-rows", "DO $$ BEGIN UPDATE notes SET title = '' WHERE title IS NULL; END $$"),
    ("hidden-rows", "UPDATE notes SET title = '' WHERE true; ALTER TABLE notes NO FORCE ROW LEVEL SECURITY"),
    ("whole-table", "ALTER TABLE notes NO FORCE ROW LEVEL SECURITY; UPDATE notes SET title = ''" + AGAIN),
    ("whole-table", "ALTER TABLE notes NO FORCE ROW LEVEL SECURITY; DELETE FROM notes" + AGAIN),
    ("drop-owned", "DROP OWNED BY storekit_app"),
    ("drop-owned", "DO $$ BEGIN DROP OWNED BY storekit_app; END $$"),
    ("truncate", "TRUNCATE plain"),
    ("truncate", "TRUNCATE TABLE ONLY plain, notes CASCADE"),
    ("manage", "ALTER TABLE notes ADD COLUMN number int"),
    ("manage", "SELECT storekit.manage('notes'); ALTER TABLE public.notes ALTER title SET DEFAULT ''"),
    ("manage", "ALTER TABLE unheard_of ADD COLUMN number int"),
    ("manage", "CREATE TABLE t (); SELECT storekit.manage('t'); ALTER TABLE t ADD COLUMN number int"),
    ("manage", "INSERT INTO storekit.field (table_name, field, kind) VALUES ('notes', 'body', 'blob')"),
    ("set-null", "CREATE TABLE t (FOREIGN KEY (tenant_id, n) REFERENCES notes ON DELETE SET NULL)"),
    ("set-null", "CREATE TABLE t (FOREIGN KEY (tenant_id, n) REFERENCES notes ON DELETE SET DEFAULT, x int)"),
    ("repeatable", f"{MARK}CREATE INDEX CONCURRENTLY i ON notes (title)"),
    ("repeatable", f"{MARK}DROP INDEX CONCURRENTLY i"),
    ("repeatable", f"{MARK}ALTER TYPE mood ADD VALUE 'a'"),
    ("repeatable", f"{MARK}INSERT INTO plain VALUES ('a')"),
    ("undecided", f"{DECIDE}public.notes: column n is text, not bigint\n-- ALTER TABLE notes ...;"),
    ("undecided", f"SELECT 1; DO $$ BEGIN {DECIDE}it\nSELECT 2; END $$"),
    ("undecided", "--storekit:decide: it\nSELECT 1"),
    ("allow", "-- storekit: allow truncate: nobody reads it\nSELECT 1"),
    ("allow", "SELECT 1; -- storekit: no transaction"),
    ("allow", "-- storekit: no-transaction\nSELECT 1"),
]


@pytest.mark.parametrize(("rule", "text"), UNSAFE)
def test_an_unsafe_statement_has_a_finding(rule: str, text: str) -> None:
    """Each unsafe statement has a finding of its rule and of no other."""
    assert rules(text) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE plain SET title = storekit.now()::text -- not now()",
        "/* now() /* nested */ TRUNCATE plain; */ SELECT 'now()', $$now()$$, E'it\\'s now()', own.now()",
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now (or later)'; END $$",
        "CREATE OR REPLACE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql RETURN clock_timestamp()",
        "SET LOCAL storekit.tenant = 'a'; SELECT set_config('storekit.tenant', f(1, 2), true)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET storekit.actor = 'f' RETURN 1",
        "SELECT set_config('work_mem', '1MB', false)",
        "CREATE TEMP TABLE t (a int); ALTER TABLE t ADD CHECK (a > 0), DROP a; TRUNCATE t; DROP TABLE t",
        "ALTER TABLE plain ADD COLUMN checked text DEFAULT 'check'",
        "DO $$ BEGIN CREATE TABLE t (a int); ALTER TABLE t ADD b int; CREATE INDEX ON t (a); END $$",
        "ALTER TABLE plain ADD CONSTRAINT there CHECK (title IS NOT NULL) NOT VALID",
        "ALTER TABLE notes ADD FOREIGN KEY (tenant_id, body_id) REFERENCES plain NOT VALID",
        "ALTER TABLE notes ADD COLUMN number int" + AGAIN,
        "ALTER TABLE notes ADD COLUMN number int; "
        "SELECT storekit.manage(format('%I', entity)) FROM storekit.managed",
        "INSERT INTO storekit.field (table_name) VALUES ('notes')" + AGAIN,
        "ALTER TABLE notes NO FORCE ROW LEVEL SECURITY; "
        "UPDATE notes SET title = '' WHERE title IS NULL" + AGAIN,
        "CREATE TABLE t (FOREIGN KEY (tenant_id, n) REFERENCES notes ON DELETE SET NULL (n))",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC "
        "SELECT CASE a WHEN 1 THEN 2 END; SELECT 3; END; CREATE TABLE t ()",
        "CREATE TABLE t (n uuid, FOREIGN KEY (tenant_id, n) REFERENCES u (tenant_id, n))",
        f"SELECT '\n{DECIDE}a literal\n'",
        f"{MARK}CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON notes (title);",
        f"{MARK}DROP INDEX CONCURRENTLY IF EXISTS i",
        f"{MARK}ALTER TYPE mood ADD VALUE IF NOT EXISTS 'a'",
        "",
    ],
)  # fmt: skip
def test_a_safe_statement_has_no_finding(text: str) -> None:
    """The safe form of a statement, and text that only looks unsafe, have no finding."""
    assert rules(text) == []


def test_shipped_migrations_have_no_finding() -> None:
    """Each unsafe statement in storekit's own migrations is allowed with a reason."""
    files = read([core(), shipped("agency")])
    found = dict(zip(map(str, files), lint(file.text for file in files), strict=True))
    assert {name: list(map(str, findings)) for name, findings in found.items() if findings} == {}


def test_a_finding_has_line_rule_and_remedy() -> None:
    """A finding has the line of the fault, even inside a body, and says what to write instead."""
    text = """
CREATE TABLE t (
    at timestamptz DEFAULT now()
);
DO $$
BEGIN
    DROP TABLE plain;
END
$$;
ALTER TABLE plain
    ADD COLUMN a int,
    ADD COLUMN b int CHECK (b > 0);"""
    assert [(finding.rule, finding.line) for finding in lint([BEFORE, text])[1]] == [
        ("clock", 3),
        ("do-block", 7),
        ("not-valid", 12),
    ]
    assert str(lint([text])[0][0]) == "line 3: clock: tests set the clock of storekit; use storekit.now()"


@pytest.mark.parametrize(
    "text",
    [
        "-- storekit: allow truncate: nobody reads it\nTRUNCATE plain;",
        "SELECT 1;\n  --storekit: allow  truncate:  nobody reads it  \nTRUNCATE plain; TRUNCATE plain;",
        "ALTER TABLE plain\n ADD a int,\n -- storekit: allow not-valid: small\n ADD b int CHECK (b > 0);",
        "-- storekit: allow not-valid: small\nALTER TABLE plain\n ADD a int,\n ADD b int CHECK (b > 0);",
        "-- storekit: allow not-valid: small\n-- storekit: allow manage: next\n"
        "ALTER TABLE notes ADD b int CHECK (b > 0);",
        "-- storekit: allow manage: it goes\n-- squawk-ignore ban-drop-column\nALTER TABLE notes DROP title;",
        "DO $$\nBEGIN\n-- storekit: allow truncate: unused\nTRUNCATE plain;\nEND\n$$",
        f"-- storekit: allow undecided: it stays text\n{DECIDE}title is text\n-- ALTER ...;\nSELECT 1;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n"
        "    -- storekit: allow clock: for people\n    RAISE NOTICE '%', clock_timestamp();\nEND\n$$",
    ],
)
def test_a_finding_is_allowed_with_a_reason(text: str) -> None:
    """A comment on the line before a finding or before its statement allows the rule."""
    assert rules(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-- storekit: allow truncate\nTRUNCATE plain;", ["allow", "truncate"]),
        ("-- storekit: allow truncate:  \nTRUNCATE plain;", ["allow", "truncate"]),
        ("-- storekit: allow drop-owned: wrong rule\nTRUNCATE plain;", ["allow", "truncate"]),
        ("-- storekit: allow truncate: too far away\n\nTRUNCATE plain;", ["allow", "truncate"]),
        ("-- storekit: allow truncate: one\nTRUNCATE plain;\nTRUNCATE plain;", ["truncate"]),
        (f"-- storekit: allow undecided: one\n{DECIDE}one\n{DECIDE}two", ["undecided"]),
        (f"-- storekit: allow undecided\n{DECIDE}one", ["allow", "undecided"]),
        ("SELECT '\n-- storekit: allow truncate: a literal\n'; TRUNCATE plain;", ["truncate"]),
        ("-- storekit: allow allow: no\n-- storekit: allow nothing: at all\nSELECT 1;", ["allow", "allow"]),
    ],
)
def test_an_invalid_allowance_is_a_finding(text: str, found: list[str]) -> None:
    """An allowance without a reason, for another rule or line, or without a finding is a finding."""
    assert rules(text) == found


@given(st.text("'\"$-/*();.\n aEe\\", max_size=60) | st.text(max_size=40))
def test_the_linter_accepts_any_text(text: str) -> None:
    """The linter raises on no text, however malformed."""
    assert lint([text, f"{text}\nTRUNCATE plain;"])
