"""Classes and the migration files that `Store.embedded` keeps of them; no server."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import pytest
from pydantic import BaseModel

from storekit import (
    Blob,
    ConfigurationError,
    Entity,
    Expired,
    Mutable,
    Store,
    UsageError,
    blob,
    document,
    references,
)
from storekit.hosting import write_migrations


class Payload(BaseModel):
    query: str


class Customer(Entity, table="customers"):
    name: str


class Invoice(Entity, table="billing.invoices"):
    customer_id: Annotated[UUID, references(Customer)]


class Namesake(Entity, table="billing_invoices"):
    number: int


class Note(Entity, Mutable, table="notes"):
    title: str
    body: Annotated[Blob | None, blob()] = None


class Longer(Entity, Mutable, table="notes"):
    title: str
    subtitle: str | None = None
    customer_id: Annotated[UUID | None, references("customers")] = None
    body: Annotated[Blob | None, blob()] = None
    log: Annotated[Payload | Expired | None, document(collection="logs", ttl=timedelta(days=9))] = None


class Longest(Entity, Mutable, table="notes"):
    title: str
    subtitle: str | None = None
    rank: int = 0
    customer_id: Annotated[UUID | None, references("customers")] = None
    body: Annotated[Blob | None, blob()] = None
    log: Annotated[Payload | Expired | None, document(collection="logs", ttl=timedelta(days=9))] = None


class Other(Entity, table="notes"):
    title: int


def refusal(directory: Path, *entities: type[Entity]) -> str:
    before = {path.name for path in directory.iterdir()}
    with pytest.raises(ConfigurationError) as caught:
        write_migrations(directory, entities)
    assert {path.name for path in directory.iterdir()} == before
    return str(caught.value)


def test_a_changed_class_is_refused_with_file_class_difference_and_sql(tmp_path: Path) -> None:
    """A changed class is refused; the message names class, file and difference, and the SQL of additions."""
    write_migrations(tmp_path, [Note])
    said = refusal(tmp_path, Longer)
    assert said.startswith(
        f"Longer is no longer what {tmp_path / '0001_notes.sql'} made of public.notes (added: "
    )
    assert "write the change as " + str(tmp_path / "0002_notes.sql") in said
    for added in ("subtitle", "customer_id", "log_ref", "log_expired_on", "log"):
        assert f" {added}" in said.partition(")")[0]
    sql = said.partition("\n\n")[2]
    assert sql.startswith("ALTER TABLE public.notes ADD COLUMN subtitle text;\n")
    assert (
        "ALTER TABLE public.notes ADD FOREIGN KEY (tenant_id, customer_id) REFERENCES public.customers" in sql
    )
    assert "CREATE INDEX ON public.notes (customer_id, tenant_id);\n" in sql
    assert "('notes', 'log', 'document', interval '9 days'" in sql
    assert sql.endswith("SELECT storekit.manage('public.notes');")


def test_the_advice_works_and_the_next_change_is_noticed_too(tmp_path: Path) -> None:
    """What the message printed, written where it says, describes the class; a change after it is a change."""
    write_migrations(tmp_path, [Note])
    (tmp_path / "0002_notes.sql").write_text(refusal(tmp_path, Longer).partition("\n\n")[2])
    write_migrations(tmp_path, [Longer])
    said = refusal(tmp_path, Longest)
    assert "(added: rank)" in said
    add = "ALTER TABLE public.notes ADD COLUMN rank bigint NOT NULL DEFAULT 0;"
    sql = f"{add}\nSELECT storekit.manage('public.notes');"
    assert said.endswith(f"\n\n{sql}")
    (tmp_path / "0003_rank.sql").write_text(sql)
    write_migrations(tmp_path, [Longest, Customer])
    assert [path.name for path in sorted(tmp_path.iterdir())][3:] == ["0004_customers.sql"]


def test_a_change_that_is_no_addition_is_named_without_sql(tmp_path: Path) -> None:
    """Columns that went or changed are named; what becomes of their data is for a person to write."""
    write_migrations(tmp_path, [Note])
    said = refusal(tmp_path, Other)
    assert "removed: updated_on, updated_by, body_ref, body; changed: title" in said
    assert "ALTER" not in said
    change = (
        "ALTER TABLE notes DROP COLUMN updated_on, DROP updated_by, DROP body_ref, ALTER title TYPE bigint;"
    )
    forget = "DELETE FROM storekit.field WHERE field = 'body';"
    (tmp_path / "0002_shorter.sql").write_text(f"{change}{forget}SELECT storekit.manage('public.notes');")
    write_migrations(tmp_path, [Other])


def test_a_table_is_known_by_its_name_not_by_its_files(tmp_path: Path) -> None:
    """`billing.invoices` and `billing_invoices` are two tables with a file each, on every start."""
    for _ in range(2):
        write_migrations(tmp_path, [Customer, Invoice, Namesake])
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / "0003_billing_invoices.sql").rename(tmp_path / "0003_what_i_like.sql")
    write_migrations(tmp_path, [Customer, Invoice, Namesake])


def test_a_table_that_a_person_wrote_is_left_to_them(tmp_path: Path) -> None:
    """A file in another form than the rendered one is not compared."""
    (tmp_path / "0001_mine.sql").write_text(
        "create table notes (...); SELECT storekit.manage('public.notes');"
    )
    write_migrations(tmp_path, [Note])
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_person_adds_to_a_rendered_table_is_no_change_of_the_class(tmp_path: Path) -> None:
    """Checks, comments and indexes that were added to the file do not count."""
    write_migrations(tmp_path, [Note])
    file = tmp_path / "0001_notes.sql"
    more = "    -- by hand\n    CHECK (title <> ''),\n    PRIMARY KEY"
    file.write_text(
        file.read_text().replace("    PRIMARY KEY", more) + "CREATE INDEX ON public.notes (title);\n"
    )
    write_migrations(tmp_path, [Note])


def test_a_reference_to_a_class_that_is_not_listed_is_named(tmp_path: Path) -> None:
    """A class whose target has no table yet is refused by both names; one with a file need not be listed."""
    assert refusal(tmp_path, Invoice) == "Invoice references Customer: list it in entities too"
    write_migrations(tmp_path, [Customer])
    write_migrations(tmp_path, [Invoice])


def test_a_class_without_a_table_is_a_usage_error(tmp_path: Path) -> None:
    """`Store.embedded` refuses a class without a table before anything starts."""

    class Bare(Entity):
        title: str

    with pytest.raises(UsageError, match="has no table"):
        Store.embedded(tmp_path / "data", entities=[Bare])
    assert not (tmp_path / "data").exists()
