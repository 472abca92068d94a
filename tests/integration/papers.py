"""A class with columns of all kinds, for the tests of sessions with other settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from storekit import Blob, Entity, Mutable, SoftDelete, Store, blob, index, moves
from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.schema.ddl import render
from storekit.schema.lines import core
from tests.support.postgres import MEMBERS, Database, fresh_database, write_line
from tests.support.stored_blob import with_bucket

MOMENT, DAY = datetime(2026, 3, 4, 23, 30, 1, 123456, tzinfo=UTC), date(2026, 3, 4)
# with a trailing backslash and a quote, which a session without standard_conforming_strings reads otherwise
TEXT = "\u4e16\u00e9 it's \\"


class Stage(StrEnum):
    NEW = "new"
    DONE = "done"


LISTS = [index("-moment"), index("stage", "moment")]


class Paper(Entity, Mutable, SoftDelete, table="papers", natural_key=("name",), indexes=LISTS):
    name: str
    stage: Annotated[Stage, moves({Stage.NEW: [Stage.DONE]})] = Stage.NEW
    kind: str = "C:\\temp 'x'"
    weight: float = 0.1 + 0.2
    cost: Decimal = Decimal("1.50")
    moment: datetime = MOMENT
    day: date = DAY
    tags: list[str] = ["NULL", "b"]
    data: dict[str, Any] = {"a": [1.5, None]}
    scan: Annotated[Blob | None, blob()] = None


MORE = """
ALTER TABLE papers ADD COLUMN took interval DEFAULT '-1 day 2:03:04',
    ADD COLUMN raw bytea DEFAULT '\\xdeadbeef',
    ADD COLUMN span tstzrange DEFAULT '[2026-03-04 00:00Z,2026-03-05 00:00Z)';
CREATE INDEX papers_tags ON papers USING gin (tags);
SELECT storekit.manage('papers');
"""
"""Columns of types that a class cannot declare: their text in an event must not depend on the session
either."""


@contextmanager
def papers_database(cluster: str, directory: Path) -> Iterator[Database]:
    """Create a database with the table."""
    with fresh_database(cluster) as database:
        migrate(database.url("admin"), [core(), write_line(directory, "own", render(Paper), MORE)])
        grant(database.url("admin"), MEMBERS)
        yield database


def opened(database: Database, **more: Any) -> Store:
    """Open a store as the app."""
    settings = with_bucket(postgres_url=database.url("app"))
    return Store.open(settings.model_copy(update=more))
