"""The migration files for a class that has changed, without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import Field

from storekit import Entity, Mutable, Store, UsageError
from storekit.deploy.evolve import next_files
from storekit.schema import ddl
from storekit.schema.diff import Difference, files, missing, undeclared
from storekit.schema.diff.facts import ColumnFact
from storekit.schema.lint import lint
from tests.support.note_editions import Author, Status
from tests.unit.class_facts import Grown, Invoice, Note, compare, table, text


@pytest.mark.parametrize("entity", [Author, Note, Grown, Invoice])
def test_a_class_equals_its_own_table(entity: type[Entity]) -> None:
    """A class does not differ from the table that its own migration creates."""
    assert compare(entity, table(entity)) == []


def test_additions_are_written_in_order() -> None:
    """Enum labels come first, then columns, keys and manage, then each index in a file of its own."""
    found = compare(Grown, table(Note))
    assert {each.weight for each in found} == {"addition"}
    labels, main, *separate = files(found)
    assert labels.text == (
        "ALTER TYPE public.notes_status ADD VALUE 'new' BEFORE 'draft';\n"
        "ALTER TYPE public.notes_status ADD VALUE 'review' AFTER 'draft';\n"
    )
    lines = main.text.splitlines()
    for line in (
        "ALTER TABLE public.notes ADD COLUMN deleted_on timestamptz;",
        "ALTER TABLE public.notes ADD COLUMN slug text;",
        'ALTER TABLE public.notes ADD COLUMN "order" bigint NOT NULL DEFAULT 0;',
        "ALTER TABLE public.notes ALTER COLUMN status SET DEFAULT 'new';",
        "CREATE TYPE public.notes_kind AS ENUM ('draft', 'final');",
        "ALTER TABLE public.notes ADD COLUMN kind public.notes_kind NOT NULL DEFAULT 'draft';",
        "ALTER TABLE public.notes ADD COLUMN log_expired_on timestamptz;",
        "SELECT storekit.add_key('public.notes', 'CONSTRAINT notes_author_id_fk_a0e9a043 "
        "FOREIGN KEY (tenant_id, author_id) REFERENCES public.authors (tenant_id, id) "
        "ON DELETE RESTRICT DEFERRABLE');",
        "    ('notes', 'log', 'document', interval '9 days', '{}', 'logs')",
        "    ('notes', 'status', 'new', 'draft');",
    ):
        assert line in lines
    assert lines[-1] == "SELECT storekit.manage('public.notes');"
    heads = [file.text.splitlines()[0] for file in separate]
    assert heads == ["-- storekit: no transaction"] * 5
    assert [file.text.splitlines()[1].partition(" IF NOT EXISTS ")[0] for file in separate] == [
        "CREATE UNIQUE INDEX CONCURRENTLY",
        *["CREATE INDEX CONCURRENTLY"] * 3,
        "CREATE UNIQUE INDEX CONCURRENTLY",
    ]
    assert all(file.stem in file.text for file in separate)


def test_embedded_stores_create_indexes_in_the_same_file() -> None:
    """For the servers of a directory all additions but enum labels are one file and one transaction."""
    labels, main = files(compare(Grown, table(Note)), in_use=False)
    assert "ADD VALUE" in labels.text
    assert main.text.count("\nCREATE INDEX notes_") == 3
    assert main.text.count("\nCREATE UNIQUE INDEX notes_") == 2
    assert lint([ddl.render(Author), ddl.render(Note), labels.text, main.text]) == [[]] * 4


def test_an_old_index_is_dropped_after_its_replacement_is_built() -> None:
    """An index that ended before ref_id is replaced without a decision."""
    now = {name: text for name, text in table(Grown).indexes.items() if "_ix_" in name and "ref_id" in text}
    before = {
        f"{name[:-8]}0a0a0a0a": text.replace(", ref_id DESC", "").replace(", ref_id", "")
        for name, text in now.items()
    }
    kept = {name: text for name, text in table(Grown).indexes.items() if name not in now}
    found = compare(Grown, table(Grown, indexes={**kept, **before}))
    assert {each.weight for each in found} == {"addition"}
    assert [file.stem for file in files(found)] == [*now, *(f"drop_{name}" for name in before)]
    [main] = files(found, in_use=False)
    assert main.text.rindex("CREATE INDEX") < main.text.index("DROP INDEX IF EXISTS public.notes_")
    assert lint([ddl.render(Author), ddl.render(Note), main.text]) == [[]] * 3
    mine = {"mine": next(iter(before.values()))}
    assert compare(Grown, table(Grown, indexes={**kept, **now, **mine})) == []


def test_written_files_pass_the_linter() -> None:
    """The files of additions and of new tables have no findings."""
    found = [missing(Invoice), *compare(Grown, table(Note, empty=True))]
    assert lint([ddl.render(Author), ddl.render(Note), *(file.text for file in files(found))]) == [[]] * 9


def test_new_tables_come_before_changes() -> None:
    """A class without a table is written in one file with the tables that refer to it."""
    found = [missing(Author), *compare(Grown, table(Note))]
    main = [*files(found)][1]
    assert main.text.startswith(ddl.render(Author) + "\nALTER TABLE public.notes")
    assert main.stem == "authors_notes"


class Required(Entity, Mutable, table="notes"):
    title: str
    status: Status = Status.DRAFT
    rank: int


def test_a_required_column_is_a_decision_if_the_table_may_have_rows() -> None:
    """A required column is a comment; it is SQL only for a table that never had a row."""
    [found] = compare(Required, table(Note))
    assert found.weight == "decision"
    assert found.comment == (
        "-- storekit: decide: public.notes: column rank is missing; it is required, so choose the value "
        "for the rows that exist\n"
        "-- ALTER TABLE public.notes ADD COLUMN rank bigint NOT NULL DEFAULT ...;\n"
        "-- ALTER TABLE public.notes ALTER COLUMN rank DROP DEFAULT;"
    )
    [found] = compare(Required, table(Note, empty=True))
    assert found.weight == "addition"
    assert found.sql.endswith("\nALTER TABLE public.notes ADD COLUMN rank bigint NOT NULL;")


def test_objects_added_by_hand_are_ignored_except_columns_and_defaults() -> None:
    """Extra indexes, checks and triggers are ignored; an extra column or default is a remark."""
    plain = table(Note)
    columns = {
        **plain.columns,
        "extra": ColumnFact("text", nullable=True),
        "title": replace(plain.columns["title"], default="'x'"),
    }
    guards = {**plain.guards, "trigger storekit_own": "O"}
    indexes, checks = {**plain.indexes, "mine": "(title)"}, {**plain.checks, "mine": "CHECK (true)"}
    changed = replace(plain, columns=columns, indexes=indexes, checks=checks, guards=guards)
    found = compare(Note, changed)
    assert {each.weight for each in found} == {"remark"}
    assert [each.what for each in found] == [
        "column title has the default 'x', the class declares none",
        "column extra is not declared",
    ]


def test_the_name_and_order_of_an_enum_are_ignored() -> None:
    """An enum with another name or order is not a difference; a new label is added to that type."""
    plain = table(Note)
    status = replace(plain.columns["status"], type="mine", enum="public.mine", labels=("final", "draft"))
    actual = replace(plain, columns={**plain.columns, "status": status})
    assert compare(Note, actual) == []
    found = compare(Grown, actual)
    assert "ALTER TYPE public.mine ADD VALUE 'review' AFTER 'draft';" in text(found)


def test_names_from_the_catalogue_are_quoted_in_comments() -> None:
    """A policy name with any content stays quoted and inside the comment."""
    name = 'a"\nDROP TABLE notes; --\r\u2028b'
    found = compare(Note, table(Note, guards={**table(Note).guards, f"policy {name}": "true"}))
    assert len(found) == 1
    *comments, _, manage, end = re.split("[\r\n]", text(found))
    assert all(line.startswith("-- ") for line in comments)
    assert (manage, end) == ("SELECT storekit.manage('public.notes');", "")
    assert found[0].sql == f'DROP POLICY "{name.replace(chr(34), chr(34) * 2)}" ON public.notes;'


def stems(*found: Difference) -> Iterator[str]:
    yield from (file.stem for file in files(found))


def test_a_file_is_named_after_its_tables() -> None:
    """The file name contains the tables, or the first of many."""
    many = [Difference(f"public.table_number_{n}", "x", "SELECT 1;") for n in range(9)]
    assert [*stems(missing(Author), missing(Invoice))] == ["authors_billing_invoices"]
    assert [*stems(*many)] == ["table_number_0_and_8_more"]


def test_new_files_continue_the_numbers_of_the_line(tmp_path: Path) -> None:
    """New files have the next numbers; without a difference no file is written."""
    (tmp_path / "0001_start.sql").write_text("SELECT 1;")
    found = compare(Grown, table(Note))
    names = [path.name for path in next_files(tmp_path, found)]
    assert names[:2] == ["0002_notes_labels.sql", "0003_notes.sql"]
    assert [name[:4] for name in names] == ["0002", "0003", "0004", "0005", "0006", "0007", "0008"]
    assert next_files(tmp_path, []) == {}


def test_a_remark_is_written_once(tmp_path: Path) -> None:
    """A remark that a file of the line contains is not written again."""
    found = [undeclared("billing.old")]
    [(path, written)] = next_files(tmp_path, found).items()
    assert written.splitlines()[-1] == "-- DROP TABLE billing.old;"
    path.write_text(written)
    assert next_files(tmp_path, found) == {}
    assert next_files(tmp_path, [*found, undeclared("older")]) != {}


class Defaulted(Entity, Mutable, table="notes"):
    title: str = Field(default_factory=str)
    status: Status = Status.DRAFT


def test_a_computed_default_is_not_a_difference() -> None:
    """A default that Python computes has no SQL, and the column has no default either."""
    assert compare(Defaulted, table(Note)) == []


def test_a_class_without_a_table_is_a_usage_error(tmp_path: Path) -> None:
    """`Store.embedded` refuses a class without a table before it starts servers."""

    class Bare(Entity):
        title: str

    with pytest.raises(UsageError, match="has no table"):
        Store.embedded(tmp_path / "data", entities=[Bare])
    assert not (tmp_path / "data").exists()
