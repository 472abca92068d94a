"""Additions to classes: diff writes migrations, and afterwards the database matches the classes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from psycopg.errors import ForeignKeyViolation, IntegrityError, UniqueViolation

from storekit import (
    Blob,
    ConfigurationError,
    Entity,
    Mutable,
    SoftDelete,
    Store,
    blob,
    document,
    index,
    lookup,
    moves,
    not_null,
    references,
    render,
    unique,
)
from storekit.agency import ENTITIES as AGENCY
from storekit.deploy.evolve import compare
from storekit.drivers.postgres.admin.runner import migrate
from storekit.schema.lines import core, shipped
from tests.integration.evolving import TENANT, Evolving
from tests.support.note_editions import Author, Longer, Plan, Status, logged, note


def refers(target: Any, **how: Any) -> tuple[Any, None]:
    """Declare an optional reference."""
    return Annotated[UUID | None, references(target, **how)], None


ADDITIONS: dict[str, type[Entity]] = {
    "an optional column": note({"extra": (str | None, None)}),
    "a column with a default": note({"rank": (int, 3), "order": (list[str], []), "when": (bool, True)}),
    "a column of an enum": note({"kind": (Longer, Longer.NEW)}),
    "labels": note({"status": (Longer, Longer.DRAFT)}),
    "a label that is the default": note({"status": (Longer, Longer.NEW)}),
    "a label of an index": note(
        {"status": (Longer, Longer.DRAFT)}, indexes=[index("title", where={"status": "new"})]
    ),
    "another default": note({"status": (Status, Status.FINAL), "token": (str, "it's")}),
    "a first default": note({"title": (str, "untitled")}),
    "no longer required": note({"title": (str | None, ...)}),
    "a soft delete": note({}, Mutable, SoftDelete),
    "an index": note(indexes=[index("status", "-created_on")]),
    "a partial index": note(indexes=[index("token", where={"note": None, "author_id": not_null})]),
    "an index with a long condition": note(
        indexes=[index("note", where={"status": ["final", "draft"], "version": 3})]
    ),
    "a unique index": note(indexes=[unique("title", "token")]),
    "a partial unique index": note(indexes=[unique("title", where={"author_id": None})]),
    "a natural key": note(natural_key=("title", "token")),
    "a reference": note({"author_id": refers(Author, on_delete="set null")}),
    "a cascade": note({"author_id": refers(Author, on_delete="cascade")}),
    "a reference to a global class": note({"plan_id": refers(Plan)}),
    "a reference to itself": note({"parent_id": refers("self")}),
    "a blob": note({"image": (Annotated[Blob | None, blob()], None)}),
    "a document": note({"body": (Annotated[dict[str, Any] | None, document(collection="bodies")], None)}),
    "a ttl": note({"log": logged(30, "pdf")}),
    "links": note({"log": logged(9)}),
    "a document that expires": note({"body": logged(1)}),
    "moves": note({"status": (Annotated[Status, moves({Status.DRAFT: [Status.FINAL]})], Status.DRAFT)}),
    "a look-up": note({"token": (Annotated[str, lookup()], "x")}),
}


@pytest.mark.parametrize("grown", ADDITIONS.values(), ids=ADDITIONS.keys())
def test_an_addition_is_written_and_applied(evolving: Evolving, grown: type[Entity]) -> None:
    """Each kind of addition is migrated on a table with a row, with no data loss or difference left."""
    assert evolving.follow(grown)
    assert evolving.database.ask("SELECT title, token FROM notes") == [("first", "t")]
    evolving.insert("notes", title="second", token="u")


def test_every_addition_at_once(evolving: Evolving) -> None:
    """Many additions to a class at once need one run of diff."""
    grown = note(
        {
            "status": (Annotated[Longer, moves({Longer.NEW: [Longer.DRAFT]})], Longer.NEW),
            "author_id": refers(Author),
            "slug": (str, "none"),
            "image": (Annotated[Blob | None, blob()], None),
        },
        Mutable,
        SoftDelete,
        indexes=[
            index("title", "-created_on"),
            unique("title", where={"deleted_on": None, "status": "new"}),
        ],
        natural_key=("title",),
    )
    evolving.follow(Author, Plan, grown)
    names = [path.name for path in sorted(evolving.directory.iterdir())]
    assert names[:3] == ["0001_authors_plans_notes.sql", "0002_notes_labels.sql", "0003_notes.sql"]
    assert len(names) == 7  # three indexes, and the index of the reference


FORMER = """
    CREATE INDEX ON notes (author_id, tenant_id);
    CREATE INDEX notes_title_created_on_ix_0a0a0a0a ON notes (tenant_id, title, created_on DESC);
    CREATE INDEX mine ON notes (tenant_id, title, created_on DESC);
    DROP INDEX {0};
    DROP INDEX {1}"""


def test_indexes_of_an_older_release_are_replaced(evolving: Evolving) -> None:
    """An index without ref_id at its end is replaced, recognised by definition and not by name."""
    grown = note({"author_id": refers(Author)}, indexes=[index("title", "-created_on")])
    evolving.follow(grown)
    made = "SELECT indexname FROM pg_indexes WHERE tablename = 'notes' AND indexdef ~ 'ref_id( DESC)?\\)$' " \
        "AND indexname ~ '_ix_' ORDER BY 1"  # fmt: skip
    ours = [name for (name,) in evolving.database.ask(made)]
    evolving.database.ask(FORMER.format(*ours))
    assert evolving.described(grown) == [
        "public.notes: index (author_id, tenant_id, ref_id) is missing",
        "public.notes: index (tenant_id, title, created_on DESC, ref_id DESC) is missing",
        *(
            f"public.notes: index {name} is replaced by another that also ends with ref_id"
            for name in ("notes_author_id_tenant_id_idx", "notes_title_created_on_ix_0a0a0a0a")
        ),
    ]
    evolving.follow(grown)
    assert [name for (name,) in evolving.database.ask(made)] == ours
    left = "SELECT indexname FROM pg_indexes WHERE indexname ~ '^(notes_author.*_idx|.*0a0a|mine)$'"
    assert evolving.database.ask(left) == [("mine",)]


def test_a_new_foreign_key_is_checked_for_all_tenants(evolving: Evolving) -> None:
    """A reference that existing rows violate is refused, and its migration is rolled back."""
    grown = note({"author_id": refers(Author), "extra": (int, 0)})
    orphan = evolving.insert("notes", title="orphan", author_id=uuid4())
    evolving.write(evolving.differences(grown))
    with pytest.raises(ConfigurationError, match="violates foreign key constraint"):
        evolving.migrate()
    assert "public.notes: column extra is missing" in evolving.described(grown)
    author = evolving.insert("authors", name="A")
    with evolving.database.connect("postgres") as connection, connection.transaction():
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(TENANT)])
        connection.execute("UPDATE notes SET author_id = %s WHERE id = %s", [author, orphan])
    evolving.migrate()
    assert evolving.described(grown) == []


def test_declared_indexes_are_enforced(evolving: Evolving) -> None:
    """A partial unique index ignores rows outside its condition; a natural key is unique per tenant."""
    grown = note(
        {"slug": (str | None, None)},
        indexes=[unique("slug", where={"status": Status.FINAL})],
        natural_key=("title",),
    )
    evolving.follow(grown)
    for values in ({"title": "a", "slug": "s"}, {"title": "b", "slug": "s"}):
        assert evolving.refuses("notes", **values) is None
    assert evolving.refuses("notes", title="c", slug="s", status="final") is None
    assert evolving.refuses("notes", title="d", slug="s", status="final") is UniqueViolation
    assert evolving.refuses("notes", title="a") is UniqueViolation
    other = {"tenant_id": uuid4(), "title": "a", "slug": "s", "status": "final"}
    assert evolving.refuses("notes", **other) is None


def test_a_reference_to_a_global_record(evolving: Evolving) -> None:
    """A reference to a global class has no tenant, and its target cannot be deleted while in use."""
    grown = note({"plan_id": refers(Plan)})
    evolving.follow(grown)
    plan = evolving.insert("plans", tenant_id=UUID(int=0), name="free")
    assert evolving.refuses("notes", title="a", plan_id=plan) is None
    assert evolving.refuses("notes", title="a", plan_id=uuid4()) is ForeignKeyViolation
    with pytest.raises(IntegrityError, match="foreign key"):
        evolving.database.ask("DELETE FROM plans")


def test_a_record_of_the_changed_class_can_be_saved(evolving: Evolving) -> None:
    """The migrations of diff are all that a save of the changed class needs."""
    grown = note({"rank": (int, 1), "kind": (Longer | None, None)}, Mutable, SoftDelete)
    evolving.follow(grown)
    with Store(evolving.settings) as store:
        notes = store.scope(tenant=TENANT, actor="test").repository(grown)
        saved = notes.save(grown(title="new", kind=Longer.REVIEW))  # type: ignore[call-arg]
        assert notes.get(saved.ref_id) == saved
        [(old,)] = evolving.database.ask("SELECT ref_id FROM notes WHERE title = 'first'")
        assert notes.update(old, {"kind": "review"}).version == 2


class Invoice(Entity, table="billing.invoices"):
    """A class in a schema of its own, with an enum."""

    note_id: Annotated[UUID, references("notes")]
    status: Status = Status.DRAFT


class Line(Entity, table="billing.order", indexes=[index("status")]):
    """A class whose table name is an SQL keyword."""

    invoice_id: Annotated[UUID, references(Invoice, on_delete="cascade")]
    status: Status | None = None


def test_tables_of_other_schemas(evolving: Evolving) -> None:
    """New tables are created in the order of their references, whatever the order of the classes."""
    written = evolving.follow(Line, Invoice)
    assert written.index("CREATE TABLE billing.invoices") < written.index('CREATE TABLE billing."order"')
    assert evolving.described(note(), Line, Invoice) == []


def test_a_reference_to_a_missing_table_is_refused(evolving: Evolving) -> None:
    """A class whose target has no table and is not listed is refused; the error names both."""
    with pytest.raises(ConfigurationError, match=r"Line references billing\.invoices, which does not exist"):
        evolving.differences(Line)


class Hen(Entity, table="hens"):
    egg_id: Annotated[UUID, references("eggs")]


class Egg(Entity, table="eggs"):
    hen_id: Annotated[UUID | None, references(Hen)] = None


def test_classes_that_refer_to_each_other(evolving: Evolving) -> None:
    """The diff creates both tables, then the key that closes the circle; afterwards nothing differs."""
    written = evolving.follow(Hen, Egg)
    assert written.rindex("manage(") < written.index("add_key(")
    assert [line for line in render(Hen, Egg).split("\n") if line not in written] == []
    assert evolving.described(Egg) == []


def test_a_comparison_has_no_side_effects(evolving: Evolving) -> None:
    """A comparison does not wait for writers and leaves nothing in the database."""
    grown = note({"author_id": refers(Author)})
    counted = "SELECT (SELECT count(*) FROM storekit.managed), (SELECT count(*) FROM storekit.event_type), " \
        "(SELECT count(*) FROM pg_proc), to_regnamespace('sk_new')"  # fmt: skip
    before = evolving.database.ask(counted)
    evolving.database.ask("ALTER ROLE admin SET lock_timeout = '2s'")
    with evolving.database.connect("postgres") as other, other.transaction():
        other.execute("LOCK TABLE notes, authors, plans, storekit.part, storekit.field IN ROW EXCLUSIVE MODE")
        assert evolving.described(grown)
    evolving.database.ask("ALTER ROLE admin RESET lock_timeout")
    assert evolving.database.ask(counted) == before


def test_the_shipped_migrations_match_the_shipped_classes(evolving: Evolving) -> None:
    """The migrations of `agency` and its classes have no difference."""
    line = shipped("agency")
    migrate(evolving.database.url("admin"), [core(), line])
    assert [str(each) for each in compare(evolving.settings, AGENCY, line)] == []
