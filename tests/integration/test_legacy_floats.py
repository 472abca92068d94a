"""Floats in a database that keeps a setting from before Postgres 12."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from storekit import Entity, Mutable, Settings, Store, index
from storekit.drivers.postgres.admin.runner import grant, migrate
from storekit.schema.ddl import render
from storekit.schema.lines import core
from tests.support.postgres import MEMBERS, fresh_database, write_line

CLOSE = [0.1 + 0.2 + n * 2**-54 for n in range(6)]
"""Floats that differ in the 17th digit."""


class Sample(Entity, Mutable, table="samples", indexes=[index("value")]):
    value: float = 0.0


def test_floats_keep_all_digits(cluster: str, tmp_path: Path) -> None:
    """With extra_float_digits = 0 floats are read exactly, pages ordered by one end, and events are exact."""
    with fresh_database(cluster) as database:
        line = write_line(tmp_path / "own", "own", render(Sample))
        migrate(database.url("admin"), [core(), line])
        grant(database.url("admin"), MEMBERS)
        ((name,),) = database.ask("SELECT current_database()")
        database.ask(f'ALTER DATABASE "{name}" SET extra_float_digits = 0')
        with Store.open(Settings(postgres_url=SecretStr(database.url("app")))) as store:
            samples = store.scope(tenant=uuid4(), actor="test").repository(Sample)
            saved = samples.save_many([Sample(value=value) for value in CLOSE])
            page = samples.find(order_by="value", limit=2)
            read = [each.value for each in page]
            for _ in range(2):
                page = samples.find(order_by="value", limit=2, after=page.next)
                read += [each.value for each in page]
            (event,) = samples.history(saved[0].ref_id)
    assert (read, page.next) == (CLOSE, None)
    assert event.after is not None
    assert float(event.after["value"]) == CLOSE[0]
