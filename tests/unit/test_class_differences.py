"""Each way in which a class and its table can differ, and who has to decide what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest

from storekit import Entity, Mutable, SoftDelete, document, lookup, references
from storekit.evolution import next_files
from storekit.model.diff.facts import Facts
from storekit.sqllint import lint
from tests.support.note_editions import Author, Payload, Status
from tests.unit.class_facts import Grown, Note, compare, declared, table, text


def column(entity: type[Entity], name: str, **changes: Any) -> Facts:
    """Change one column of a class's table."""
    columns = table(entity).columns
    return table(entity, columns={**columns, name: replace(columns[name], **changes)})


class Optional(Entity, Mutable, table="notes"):
    title: str | None
    status: Status | None


class Retyped(Entity, Mutable, table="notes"):
    title: int
    status: str


class Shorter(Entity, table="notes"):
    status: Status = Status.DRAFT


class Cascading(Entity, Mutable, SoftDelete, table="notes"):
    author_id: Annotated[UUID | None, references(Author, on_delete="cascade")] = None


class Elsewhere(Entity, Mutable, SoftDelete, table="notes", scope="global"):
    title: str


class Swapped(Entity, Mutable, SoftDelete, table="notes"):
    title: Annotated[str, lookup()]
    body: Annotated[dict[str, Any] | None, document(collection="bodies")] = None
    log: Annotated[Payload | None, document(collection="elsewhere")] = None


Change = tuple[type[Entity], Facts, str, str]
DECIDED: dict[str, Change] = {
    "a type": (
        Retyped,
        table(Note),
        "column title is text, not bigint",
        "ALTER COLUMN title TYPE bigint USING title::text::bigint;",
    ),
    "a label": (
        Note,
        column(Note, "status", labels=("new", "draft", "review", "final")),
        "column status takes 'new', 'review', the class does not",
        "-- ALTER TYPE public.notes_status RENAME TO notes_status_old;",
    ),
    "a requirement": (
        Note,
        table(Optional),
        "column title takes NULL",
        "-- ALTER TABLE public.notes ALTER COLUMN title SET NOT NULL;",
    ),
    "a column that needs a value": (
        Shorter,
        table(Note),
        "column title is not declared, and no save gives it the value it needs",
        "-- ALTER TABLE public.notes DROP COLUMN title;",
    ),
    "a mixin": (Shorter, table(Note), "column updated_on is there, and the class is not Mutable", "DROP"),
    "a natural key": (
        Swapped,
        table(Grown),
        "index notes_natural_key is not declared",
        "-- ALTER TABLE public.notes DROP CONSTRAINT IF EXISTS notes_natural_key;",
    ),
    "an index": (
        Note,
        table(Grown),
        "index notes_title_created_on_ix_",
        "-- DROP INDEX IF EXISTS public.notes_title",
    ),
    "a reference that acts otherwise": (
        Cascading,
        table(Grown),
        "column author_id refers otherwise than by FOREIGN KEY",
        "ON DELETE CASCADE');",
    ),
    "a part": (
        Note,
        table(Grown),
        "part log is not declared, and its content stays",
        "-- ALTER TABLE public.notes DROP COLUMN log_expired_on;\n"
        "-- DELETE FROM storekit.field WHERE table_name = 'notes' AND field = 'log';",
    ),
    "a part of another kind": (Swapped, table(Grown), "part body is a blob, not a document", "INSERT INTO"),
    "moves": (Note, table(Grown), "the moves of its state are not declared", "-- DELETE FROM storekit.move"),
    "a look-up": (
        Swapped,
        table(Grown),
        "rows are found by token, which is no lookup()",
        "'title', 'column'",
    ),
    "a scope": (Elsewhere, table(Grown), "the scope is tenant, not global", "'public.notes', 'global');"),
    "a policy": (
        Note,
        table(Note, guards={**table(Note).guards, "policy open": "true"}),
        "policy open is not storekit's",
        "-- DROP POLICY open ON public.notes;",
    ),
    "an index of the same name": (
        Grown,
        table(Grown, indexes={**table(Grown).indexes, "notes_natural_key": "INVALID"}),
        "index notes_natural_key is not on (tenant_id, title), or not valid",
        "-- DROP INDEX IF EXISTS public.notes_natural_key;",
    ),
    "what is generated": (
        Grown,
        column(Grown, "parts_live", default="false"),
        "column parts_live is generated otherwise",
        "--",
    ),
}


@pytest.mark.parametrize(("entity", "actual", "what", "sql"), DECIDED.values(), ids=DECIDED.keys())
def test_what_could_lose_data_or_break_is_a_comment(
    entity: type[Entity], actual: Facts, what: str, sql: str
) -> None:
    """What a person has to decide is named, and stands as a comment with its SQL."""
    found = compare(entity, actual)
    [told] = [each for each in found if what in each.what]
    assert told.weight == "decision"
    assert sql in told.comment
    assert told.comment.startswith("-- storekit: decide: public.notes: ")
    assert all(line.startswith("-- ") for line in told.comment.splitlines())
    assert told.comment in text(found)
    assert "undecided" in [finding.rule for finding in lint([text(found)])[0]]


class Renamed(Entity, Mutable, table="notes"):
    heading: str
    status: Status = Status.DRAFT


class Slug(Entity, Mutable, table="notes"):
    title: str
    status: Status = Status.DRAFT
    slug: str | None = None


class Handle(Entity, Mutable, table="notes"):
    title: str
    status: Status = Status.DRAFT
    handle: str | None = None


class Number(Entity, Mutable, table="notes"):
    title: str
    status: Status = Status.DRAFT
    number: int | None = None


class TwoMore(Handle, table="notes"):
    other: str | None = None


RENAMES: dict[str, tuple[type[Entity], type[Entity], str]] = {
    "one that needs a value": (Note, Renamed, "title TO heading"),
    "one that may be empty": (Slug, Handle, "slug TO handle"),
    "another type": (Slug, Number, ""),
    "two that came": (Slug, TwoMore, ""),
    "none that came": (Slug, Note, ""),
    "a mixin that went": (Grown, Shorter, ""),
}


@pytest.mark.parametrize(("old", "new", "names"), RENAMES.values(), ids=RENAMES.keys())
def test_what_may_be_a_rename_is_told_as_one(old: type[Entity], new: type[Entity], names: str) -> None:
    """Beside the DROP of a column stands its RENAME, if one column of its type came into the same table."""
    told = [line for line in text(compare(new, table(old))).splitlines() if "RENAME COLUMN" in line]
    if not names:
        assert told == []
        return
    [line] = told
    assert line.startswith("-- -- ")
    assert line.endswith(f"ALTER TABLE public.notes RENAME COLUMN {names};")


def test_a_remark_of_what_was_no_rename_is_made_once(tmp_path: Path) -> None:
    """Once the other column is there, the remark that is left was made already."""
    [(path, written)] = next_files(tmp_path, compare(Handle, table(Slug))).items()
    path.write_text(written)
    added = table(Handle, columns={**table(Slug).columns, **table(Handle).columns})
    [left] = compare(Handle, added)
    assert left.weight == "remark"
    assert next_files(tmp_path, [left]) == {}


MENDED: dict[str, Change] = {
    "an optional column": (
        Optional,
        table(Note),
        "column title takes no NULL",
        "ALTER TABLE public.notes ALTER COLUMN title DROP NOT NULL;",
    ),
    "a lost default": (
        Note,
        column(Note, "status", default=None),
        "column status has no default, not 'draft'",
        "ALTER TABLE public.notes ALTER COLUMN status SET DEFAULT 'draft';",
    ),
    "a part kept elsewhere": (Swapped, table(Grown), "part log is kept otherwise", "'elsewhere')"),
    "a table without manage": (
        Note,
        table(Note, scope=None, guards={}, writable=frozenset()),
        "the table is not managed",
        "SELECT storekit.manage('public.notes');",
    ),
    "a lifted wall": (
        Note,
        table(Note, guards={**table(Note).guards, "row-level security": "false"}),
        "row-level security is otherwise",
        "SELECT storekit.manage('public.notes');",
    ),
    "a trigger that is off": (
        Note,
        table(Note, guards={"row-level security": "true", "policy tenant": "its own"}),
        "trigger storekit_touch is missing",
        "SELECT storekit.manage('public.notes');",
    ),
    "a ref without its key": (
        Grown,
        table(Grown, guards=declared(Note).facts.guards),
        "key body_ref_live is missing",
        "SELECT storekit.manage('public.notes');",
    ),
    "a column that manage does not know": (
        Note,
        table(Note, writable=frozenset({"status"})),
        "column title is not known to its functions and grants",
        "SELECT storekit.manage('public.notes');",
    ),
    "a check": (
        Note,
        table(Note, checks={}),
        "CHECK (ref_id) is missing",
        "SELECT storekit.add_key('public.notes', 'CHECK (ref_id)');",
    ),
    "a key of storekit": (
        Note,
        table(Note, indexes={}),
        "PRIMARY KEY (tenant_id, id) is missing",
        "ALTER TABLE public.notes ADD PRIMARY KEY (tenant_id, id);",
    ),
    "other moves": (
        Grown,
        table(Grown, moves=frozenset({("status", "", "new"), ("status", "draft", "new")})),
        "the moves of its state lack new -> draft and allow draft -> new",
        "('notes', 'status', 'new', 'draft');",
    ),
}


@pytest.mark.parametrize(("entity", "actual", "what", "sql"), MENDED.values(), ids=MENDED.keys())
def test_what_loses_nothing_is_sql(entity: type[Entity], actual: Facts, what: str, sql: str) -> None:
    """What an addition or a call of manage mends is SQL, and the table's last statement is manage."""
    found = compare(entity, actual)
    [told] = [each for each in found if each.what.startswith(what)]
    assert told.weight == "addition"
    lines = text(found).splitlines()
    assert any(line.endswith(sql) for line in lines)
    assert told.manage in lines
