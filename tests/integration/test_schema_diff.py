"""Classes that grow: the migrations of their line follow, and the database is as they say."""

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
    "an index of many": note(indexes=[index("note", where={"status": ["final", "draft"], "version": 3})]),
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
def test_an_addition_is_written_applied_and_then_no_difference(
    evolving: Evolving, grown: type[Entity]
) -> None:
    """Each kind of addition goes through the next migrations of a table with a row, and nothing is lost."""
    assert evolving.told(Author, Plan, grown)
    evolving.follow(Author, Plan, grown)
    assert evolving.database.ask("SELECT title, token FROM notes") == [("first", "t")]
    evolving.insert("notes", title="second", token="u")


def test_every_addition_at_once(evolving: Evolving) -> None:
    """A class that grows in many ways at once needs its files once."""
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
    assert len(names) == 7  # three indexes, and that of the reference


FORMER = """
    CREATE INDEX ON notes (author_id, tenant_id);
    CREATE INDEX notes_title_created_on_ix_0a0a0a0a ON notes (tenant_id, title, created_on DESC);
    CREATE INDEX mine ON notes (tenant_id, title, created_on DESC);
    DROP INDEX {0};
    DROP INDEX {1}"""


def test_the_indexes_of_a_former_release_are_replaced(evolving: Evolving) -> None:
    """What ended before ref_id is built anew and then dropped, by its definition whatever it is called."""
    grown = note({"author_id": refers(Author)}, indexes=[index("title", "-created_on")])
    evolving.follow(Author, Plan, grown)
    made = "SELECT indexname FROM pg_indexes WHERE tablename = 'notes' AND indexdef ~ 'ref_id( DESC)?\\)$' " \
        "AND indexname ~ '_ix_' ORDER BY 1"  # fmt: skip
    ours = [name for (name,) in evolving.database.ask(made)]
    evolving.database.ask(FORMER.format(*ours))
    assert evolving.told(Author, Plan, grown) == [
        "public.notes: index (author_id, tenant_id, ref_id) is missing",
        "public.notes: index (tenant_id, title, created_on DESC, ref_id DESC) is missing",
        *(
            f"public.notes: index {name} is replaced by another that also ends with ref_id"
            for name in ("notes_author_id_tenant_id_idx", "notes_title_created_on_ix_0a0a0a0a")
        ),
    ]
    evolving.follow(Author, Plan, grown)
    assert [name for (name,) in evolving.database.ask(made)] == ours
    left = "SELECT indexname FROM pg_indexes WHERE indexname ~ '^(notes_author.*_idx|.*0a0a|mine)$'"
    assert evolving.database.ask(left) == [("mine",)]


def test_a_new_key_is_checked_against_the_rows_of_all_tenants(evolving: Evolving) -> None:
    """A reference over rows that break it is refused, and nothing of its migration stays."""
    grown = note({"author_id": refers(Author), "extra": (int, 0)})
    orphan = evolving.insert("notes", title="orphan", author_id=uuid4())
    evolving.write(Author, Plan, grown)
    with pytest.raises(ConfigurationError, match="violates foreign key constraint"):
        evolving.migrate()
    assert "public.notes: column extra is missing" in evolving.told(Author, Plan, grown)
    author = evolving.insert("authors", name="A")
    with evolving.database.connect("postgres") as connection, connection.transaction():
        connection.execute("SELECT set_config('storekit.tenant', %s, true)", [str(TENANT)])
        connection.execute("UPDATE notes SET author_id = %s WHERE id = %s", [author, orphan])
    evolving.migrate()
    assert evolving.told(Author, Plan, grown) == []


def test_what_was_declared_holds(evolving: Evolving) -> None:
    """A partial unique index lets in what it does not hold, a natural key nothing twice, in one tenant."""
    grown = note(
        {"slug": (str | None, None)},
        indexes=[unique("slug", where={"status": Status.FINAL})],
        natural_key=("title",),
    )
    evolving.follow(Author, Plan, grown)
    for values in ({"title": "a", "slug": "s"}, {"title": "b", "slug": "s"}):
        assert evolving.refuses("notes", **values) is None
    assert evolving.refuses("notes", title="c", slug="s", status="final") is None
    assert evolving.refuses("notes", title="d", slug="s", status="final") is UniqueViolation
    assert evolving.refuses("notes", title="a") is UniqueViolation
    other = {"tenant_id": uuid4(), "title": "a", "slug": "s", "status": "final"}
    assert evolving.refuses("notes", **other) is None


def test_a_row_of_a_tenant_refers_to_a_global_row_that_is_there(evolving: Evolving) -> None:
    """A reference to a global class leaves the tenant out, and its target stays while it is used."""
    grown = note({"plan_id": refers(Plan)})
    evolving.follow(Author, Plan, grown)
    plan = evolving.insert("plans", tenant_id=UUID(int=0), name="free")
    assert evolving.refuses("notes", title="a", plan_id=plan) is None
    assert evolving.refuses("notes", title="a", plan_id=uuid4()) is ForeignKeyViolation
    with pytest.raises(IntegrityError, match="foreign key"):
        evolving.database.ask("DELETE FROM plans")


def test_a_record_of_the_grown_class_is_saved_beside_the_old_one(evolving: Evolving) -> None:
    """What diff wrote is all that a save of the new class needs."""
    grown = note({"rank": (int, 1), "kind": (Longer | None, None)}, Mutable, SoftDelete)
    evolving.follow(Author, Plan, grown)
    with Store(evolving.settings) as store:
        notes = store.scope(tenant=TENANT, actor="test").repository(grown)
        saved = notes.save(grown(title="new", kind=Longer.REVIEW))  # type: ignore[call-arg]
        assert notes.get(saved.ref_id) == saved
        [(old,)] = evolving.database.ask("SELECT ref_id FROM notes WHERE title = 'first'")
        assert notes.update(old, {"kind": "review"}).version == 2


class Invoice(Entity, table="billing.invoices"):
    """In a schema of its own, with a type beside it."""

    note_id: Annotated[UUID, references("notes")]
    status: Status = Status.DRAFT


class Line(Entity, table="billing.order", indexes=[index("status")]):
    """Called as a word of SQL."""

    invoice_id: Annotated[UUID, references(Invoice, on_delete="cascade")]
    status: Status | None = None


def test_tables_of_other_schemas_are_followed_too(evolving: Evolving) -> None:
    """New tables are made in the order of their references, whatever the order of the classes."""
    written = evolving.follow(Line, Invoice)
    assert written.index("CREATE TABLE billing.invoices") < written.index('CREATE TABLE billing."order"')
    assert evolving.told(Author, Plan, note(), Line, Invoice) == []


def test_a_reference_to_no_table_is_named(evolving: Evolving) -> None:
    """A class whose target has no table yet, and is not listed, is refused by both names."""
    with pytest.raises(ConfigurationError, match=r"Line references billing\.invoices, which does not exist"):
        evolving.differences(Line)


class Hen(Entity, table="hens"):
    egg_id: Annotated[UUID, references("eggs")]


class Egg(Entity, table="eggs"):
    hen_id: Annotated[UUID | None, references(Hen)] = None


def test_classes_that_refer_to_each_other_are_named(evolving: Evolving) -> None:
    """Neither of two tables can be made before the other; who declares them so is told."""
    with pytest.raises(ConfigurationError, match="hens -> eggs|eggs -> hens"):
        evolving.differences(Hen, Egg)


def test_comparing_leaves_nothing_and_waits_for_no_writer(evolving: Evolving) -> None:
    """Writers of the compared tables are not in the way, and of the comparison nothing stays."""
    grown = note({"author_id": refers(Author)})
    counted = "SELECT (SELECT count(*) FROM storekit.managed), (SELECT count(*) FROM storekit.event_type), " \
        "(SELECT count(*) FROM pg_proc), to_regnamespace('sk_new')"  # fmt: skip
    before = evolving.database.ask(counted)
    evolving.database.ask("ALTER ROLE admin SET lock_timeout = '2s'")
    with evolving.database.connect("postgres") as other, other.transaction():
        other.execute("LOCK TABLE notes, authors, plans, storekit.part, storekit.field IN ROW EXCLUSIVE MODE")
        assert evolving.told(Author, Plan, grown)
    evolving.database.ask("ALTER ROLE admin RESET lock_timeout")
    assert evolving.database.ask(counted) == before


def test_the_agencys_migrations_make_its_classes(evolving: Evolving) -> None:
    """The shipped line and the shipped classes say the same."""
    line = shipped("agency")
    migrate(evolving.database.url("admin"), [core(), line])
    assert [str(each) for each in compare(evolving.settings, AGENCY, line)] == []
