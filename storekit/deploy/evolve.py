"""Compare classes with the database, and write the differences as migrations. Blocking."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from storekit.deploy.migrate import admin_url, status
from storekit.errors import ConfigurationError
from storekit.model.declare.entity import Entity
from storekit.model.table.table import Table
from storekit.schema.diff import Difference, differences, files, missing, missing_keys, undeclared
from storekit.schema.lines import Line, read, shipped
from storekit.schema.order import in_order, referenced
from storekit.schema.taken_names import check_names
from storekit.settings import Settings

_MANAGED = re.compile(r"storekit\.manage\('([^']+)'")


def lines_of(entities: Iterable[type[Entity]], own: Line) -> list[Line]:
    """Return the lines that create the tables of these classes and of those they refer to, `own` last."""
    tables = [entity.storekit_table for entity in entities]
    names = dict.fromkeys(each.line for table in tables for each in (table, *_targets(table)))
    return [*(shipped(name) for name in names if name), own]


def pending(settings: Settings, lines: Sequence[Line]) -> list[str]:
    """Return the names of pending migrations, such as "app 0001_notes.sql".

    Raises:
        ConfigurationError: an applied migration was edited, renamed or removed.
    """
    found = status(settings, lines)
    return [f"{each.line} {each.number:04}_{each.name}.sql" for each in found if each.applied_on is None]


def compare(
    settings: Settings, entities: Iterable[type[Entity]], own: Line, *, in_use: bool = True
) -> list[Difference]:
    """Return the differences between the database and those of these classes that belong to the line `own`.

    All migrations must have been applied.

    Args:
        in_use: the migrations will also run in other databases, whose tables may have rows.

    Raises:
        UsageError: two classes lead to the same name of a table, index or type.
        ConfigurationError: POSTGRES_ADMIN_URL is not set, a class refers to one without a table, or Postgres
            refused to create the table of a class.
        Unavailable: Postgres cannot be reached.
    """
    from storekit.drivers.postgres.admin.as_owner import as_owner
    from storekit.drivers.postgres.admin.catalog import exists, facts, managed
    from storekit.drivers.postgres.admin.connect import explained
    from storekit.drivers.postgres.admin.declared import declared
    from storekit.drivers.postgres.admin.runner import connect

    entities = list(entities)
    check_names(entities)
    lines = {None, own.name}
    # Tables of shipped lines are changed only by the migrations of their line.
    wanted = {e.storekit_table.name: e for e in in_order(entities) if e.storekit_table.line in lines}
    found: list[Difference] = []
    late: list[Difference] = []
    later = [*wanted]
    with connect(admin_url(settings)) as connection, as_owner(connection):
        for table, entity in wanted.items():
            with explained(f"comparing {entity.__name__} with {table}"):
                later.remove(table)
                for target in sorted(referenced(entity)):
                    if target not in wanted and not exists(connection, target):
                        fact = f"{entity.__name__} references {target}, which does not exist"
                        raise ConfigurationError(f"{fact}; pass its class too")
                actual = facts(connection, table)
                if actual is None:
                    found.append(missing(entity, later))
                    late += missing_keys(entity, later)
                else:
                    actual = replace(actual, empty=actual.empty and not in_use)
                    found += differences(entity, declared(connection, entity), actual)
        left = (_made_by(own) & {*managed(connection)}) - wanted.keys()
    return [*found, *late, *map(undeclared, sorted(left))]


def breaches(settings: Settings) -> list[str]:
    """Return a sentence for each thing in the database that would bypass the policies of tenants or the write
    API.

    Raises:
        ConfigurationError: POSTGRES_ADMIN_URL is not set, or the database was never migrated.
        Unavailable: Postgres cannot be reached.
    """
    from storekit.drivers.postgres.admin import isolation
    from storekit.drivers.postgres.admin.runner import connect

    with connect(admin_url(settings)) as connection:
        return isolation.breaches(connection)


def next_files(own: Path, found: Sequence[Difference], *, in_use: bool = True) -> dict[Path, str]:
    """Return the differences as the line's next files, by path. Writes nothing.

    A remark is repeated only if no file of the line contains it.

    Args:
        in_use: build indexes without blocking writers (CONCURRENTLY), which takes one file for each.
    """
    past = read([Line("own", own)])
    fresh = [
        each for each in found if each.weight != "remark" or not any(each.comment in f.text for f in past)
    ]
    numbered = enumerate(files(fresh, in_use=in_use), len(past) + 1)
    return {own / f"{number:04}_{file.stem}.sql": file.text for number, file in numbered}


def _made_by(own: Line) -> set[str]:
    """Return the tables that the files of a line manage."""
    texts = "\n".join(migration.text for migration in read([own]))
    return {name.replace('"', "").removeprefix("public.") for name in _MANAGED.findall(texts)}


def _targets(table: Table) -> Iterator[Table]:
    for column in table.columns.values():
        if column.reference is not None and column.reference.table is not None:
            yield column.reference.table
