"""Changes that need a decision: check names them, diff writes them as comments, and no data is lost."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import pytest

from storekit import Entity, Mutable, SoftDelete, blob, document, index, lookup, moves, references, unique
from storekit.model.values.blob import Blob
from tests.integration.evolving import Evolving
from tests.support.note_editions import Author, Longer, Plan, Status, note

Editions = tuple[type[Entity], type[Entity], str]


MOVING = (Annotated[Status, moves({Status.DRAFT: [Status.FINAL]})], Status.DRAFT)
RESTRICTED = (Annotated[UUID | None, references(Author)], None)
CASCADING = (Annotated[UUID | None, references(Author, on_delete="cascade")], None)
DOCUMENT = (Annotated[dict[str, Any] | None, document(collection="images")], None)

DECISIONS: dict[str, Editions] = {
    "a type": (note(), note({"note": (int | None, 0)}), "column note is text, not bigint"),
    "a type that becomes an enum": (
        note(),
        note({"note": (Status | None, None)}),
        "column note is text, not ",
    ),
    "an enum that becomes text": (
        note(),
        note({"status": (str, "x")}),
        "column status is notes_status, not text",
    ),
    "a label": (
        note({"status": (Longer, Longer.DRAFT)}),
        note({"status": (Status, Status.DRAFT)}),
        "column status accepts 'new', 'review', the class does not",
    ),
    "a label in a partial index": (
        note({"status": (Longer, Longer.DRAFT)}, indexes=[index("status", "-created_on")]),
        note({"status": (Status, Status.DRAFT)}, indexes=[index("status", "-created_on")]),
        "column status accepts 'new', 'review', the class does not",
    ),
    "a requirement": (note(), note({"note": (str, ...)}), "column note allows NULL"),
    "no longer Mutable": (
        note(),
        note({}, SoftDelete),
        "column updated_on exists, but the class is not Mutable",
    ),
    "an index": (note(indexes=[index("title")]), note(), "index notes_title_ix_"),
    "an index with another condition": (
        note(indexes=[unique("title", where={"status": "final"})]),
        note(indexes=[unique("title", where={"status": "draft"})]),
        "index notes_title_uq_",
    ),
    "a natural key": (note(natural_key=("title",)), note(), "index notes_natural_key is not declared"),
    "another natural key": (
        note(natural_key=("title",)),
        note(natural_key=("title", "token")),
        "index notes_natural_key has another definition than (tenant_id, title, token)",
    ),
    "a reference": (
        note({"author_id": RESTRICTED}),
        note(),
        "the reference of column author_id is not declared",
    ),
    "another on_delete": (
        note({"author_id": RESTRICTED}),
        note({"author_id": CASCADING}),
        "column author_id has another reference than FOREIGN KEY (tenant_id, author_id)",
    ),
    "a part": (note({"image": (Annotated[Blob | None, blob()], None)}), note(), "part image is not declared"),
    "a part of another kind": (
        note({"image": (Annotated[Blob | None, blob()], None)}),
        note({"image": DOCUMENT}),
        "part image is a blob, not a document",
    ),
    "moves": (
        note({"status": MOVING}),
        note(),
        "the database restricts the changes of state, the class does not",
    ),
    "a look-up": (
        note({"token": (Annotated[str, lookup()], "x")}),
        note(),
        "rows can be looked up by token",
    ),
    "another look-up": (
        note({"token": (Annotated[str, lookup()], "x")}),
        note({"title": (Annotated[str, lookup()], ...)}),
        "rows can be looked up by token",
    ),
    "a scope": (note(), note(scope="self"), "the scope is tenant, not self"),
}


NOT_BY_SQL_ALONE = {"a requirement", "a scope"}
"""The existing row violates the rule and must be changed first."""


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_is_written_as_a_comment(evolving: Evolving, name: str) -> None:
    """The migration changes nothing as written; with its comment signs removed no difference remains."""
    old, new, what = DECISIONS[name]
    evolving.follow(old)
    found = evolving.differences(new)
    decisions = [each for each in found if each.weight == "decision"]
    assert any(f"public.notes: {what}" in str(each) for each in decisions), [*map(str, decisions)]
    evolving.write(found)
    evolving.migrate()
    assert evolving.database.ask("SELECT title, token, note, status::text FROM notes") == [
        ("first", "t", None, "draft")
    ]
    assert evolving.described(new) == [*map(str, decisions)]
    if name not in NOT_BY_SQL_ALONE:
        evolving.apply("\n".join([*(each.sql for each in decisions), decisions[0].manage]))
        assert evolving.described(new) == []
        assert evolving.database.ask("SELECT title, token FROM notes") == [("first", "t")]


class Old(Entity, Mutable, table="logs"):
    """A class with triggers on its state and a policy on its token."""

    kind: Annotated[Status, moves({Status.DRAFT: [Status.FINAL]})] = Status.DRAFT
    gone: str
    token: Annotated[str, lookup()]
    image: Annotated[Blob | None, blob()] = None


class New(Entity, Mutable, table="logs"):
    kind: str = "draft"
    token: int


def test_columns_with_triggers_and_policies_can_be_changed(evolving: Evolving) -> None:
    """The suggested SQL retypes and drops columns that triggers, policies and refs depend on."""
    evolving.follow(Old)
    evolving.insert("logs", gone="x", token="1")
    found = [each for each in evolving.differences(New) if each.weight != "remark"]
    assert {each.weight for each in found} == {"decision"}
    evolving.apply("\n".join([*(each.sql for each in found), found[0].manage]))
    assert evolving.described(New) == []
    assert evolving.database.ask("SELECT kind, token FROM logs") == [("draft", 1)]


def test_optional_differences_are_remarked_once(evolving: Evolving) -> None:
    """A dropped optional column, default or class is a comment in one migration, and check succeeds."""
    evolving.follow(Author, Plan, note({"extra": (str | None, None), "rank": (int, 1)}))
    written = evolving.write(evolving.differences(Plan, note({"rank": (int, ...)})))
    for line in (
        "-- public.notes: column extra is not declared; it may stay, or:",
        "-- ALTER TABLE public.notes DROP COLUMN extra;",
        "-- ALTER TABLE public.notes ALTER COLUMN rank DROP DEFAULT;",
        "-- DROP TABLE public.authors;",
    ):
        assert line in written.splitlines()
    evolving.migrate()
    assert evolving.described(Plan, note({"rank": (int, ...)})) == []
    assert evolving.write(evolving.differences(Plan, note({"rank": (int, ...)}))) == ""
    assert evolving.database.ask("SELECT rank, extra FROM notes") == [(1, None)]


_ALTER = "ALTER TABLE notes"
DRIFTS: dict[str, tuple[str, str]] = {
    "a lost column": (f"{_ALTER} DROP note", "column note is missing"),
    "a lost base column": (f"{_ALTER} DROP updated_by", "column updated_by is missing"),
    "a lost ref": (f"{_ALTER} DROP pdf_ref", "column pdf_ref is missing"),
    "a base column's default": (
        f"{_ALTER} ALTER tenant_id DROP DEFAULT",
        "column tenant_id has no default, not storekit.current_tenant()",
    ),
    "a column that no save fills": (
        f"{_ALTER} ADD slug text NOT NULL DEFAULT 'x'; {_ALTER} ALTER slug DROP DEFAULT",
        "column slug is not declared, but required",
    ),
    "a type": (f"{_ALTER} ALTER token TYPE varchar", "column token is character varying, not text"),
    "a collation": (
        f'{_ALTER} ALTER ref_id TYPE text COLLATE "default"',
        'column ref_id is text, not text COLLATE "C"',
    ),
    "a requirement": (f"{_ALTER} ALTER title DROP NOT NULL", "column title allows NULL"),
    "a label": (
        "ALTER TYPE notes_status ADD VALUE 'lost'",
        "column status accepts 'lost', the class does not",
    ),
    "a primary key": (f"{_ALTER} DROP CONSTRAINT notes_pkey", "PRIMARY KEY (tenant_id, id) is missing"),
    "a unique key": (
        f"{_ALTER} DROP CONSTRAINT notes_tenant_id_ref_id_key",
        "UNIQUE (tenant_id, ref_id) is missing",
    ),
    "a check": (f"{_ALTER} DROP CONSTRAINT notes_ref_id_check", "CHECK (ref_id ~ "),
    "a ref's key": (f"{_ALTER} DROP CONSTRAINT pdf_ref_live", "key pdf_ref_live is missing"),
    "row-level security that is not forced": (
        f"{_ALTER} NO FORCE ROW LEVEL SECURITY",
        "row-level security has another definition",
    ),
    "disabled row-level security": (
        f"{_ALTER} DISABLE ROW LEVEL SECURITY",
        "row-level security has another definition",
    ),
    "a lost policy": ("DROP POLICY tenant ON notes", "policy tenant is missing"),
    "a policy without a condition": (
        "ALTER POLICY tenant ON notes USING (true)",
        "policy tenant has another definition",
    ),
    "an additional policy": ("CREATE POLICY debug ON notes USING (true)", "policy debug is not storekit's"),
    "a trigger that is off": (
        f"{_ALTER} DISABLE TRIGGER storekit_update",
        "trigger storekit_update has another definition",
    ),
    "a lost trigger": ("DROP TRIGGER storekit_touch ON notes", "trigger storekit_touch is missing"),
    "a grant": (
        "REVOKE INSERT ON notes FROM storekit_app",
        "column author_id is missing from the table's write functions",
    ),
    "a column without manage": (
        f"{_ALTER} DROP note, ADD note text",
        "column note is missing from the table's write functions and grants",
    ),
    "a fact of a part": (
        "UPDATE storekit.field SET ttl = '8 days' WHERE ttl IS NOT NULL",
        "part log is registered as",
    ),
    "a lost fact": ("DELETE FROM storekit.field WHERE field = 'pdf'", "part pdf is missing"),
    "a move": (
        "INSERT INTO storekit.move VALUES ('notes', 'status', 'draft', 'final')",
        "the database restricts the changes of state, the class does not",
    ),
    "a scope": (
        "UPDATE storekit.managed SET scope = 'global' WHERE entity = 'notes'",
        "the scope is global, not tenant",
    ),
    "a table that is not managed": (
        "DELETE FROM storekit.event_type WHERE entity = 'notes';"
        "DELETE FROM storekit.managed WHERE entity = 'notes'",
        "the table is not managed",
    ),
    "a lost table": ("DROP TABLE notes", "the table is missing"),
}


@pytest.mark.parametrize("name", DRIFTS)
def test_manual_changes_are_reported(evolving: Evolving, name: str) -> None:
    """Each manual change is named; the next file repairs missing objects and loosened rules."""
    change, what = DRIFTS[name]
    evolving.database.ask(change)
    found = [each for each in evolving.differences(note()) if each.weight != "remark"]
    assert any(str(each).startswith(f"public.notes: {what}") for each in found), [*map(str, found)]
    if all(each.weight == "addition" for each in found) and name != "a lost table":
        evolving.follow(note())
        assert evolving.database.ask("SELECT title, token FROM notes") == [("first", "t")]


UNHARMED = """
    CREATE INDEX mine ON notes (title);
    ALTER TABLE notes ADD COLUMN own integer, ADD CONSTRAINT short CHECK (length(title) < 99);
    CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER own BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION own();
    COMMENT ON TABLE notes IS 'mine'"""


def test_objects_of_a_dba_are_ignored(evolving: Evolving) -> None:
    """Manually added indexes, checks, triggers and optional columns are not differences."""
    evolving.database.ask(UNHARMED)
    assert evolving.described(note()) == []
