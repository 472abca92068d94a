"""A difference between a class and the database, and the migration files that resolve differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Weight = Literal["addition", "decision", "remark"]
"""How the SQL of a difference may be applied.

- addition: loses no data and breaks no code that runs now; written as SQL that is ready to run.
- decision: may lose data, fail on existing rows or break running code, so a person must decide; written as a
comment that begins "storekit: decide:". The linter reports the comment until it is replaced or removed.
- remark: the database has something that the class does not need, which is harmless; written as a comment
that can stay.
"""
Place = Literal["first", "main"]
"""The file that the SQL goes to.

- first: a file before all others. Postgres does not allow a transaction to use an enum label that it has
added.
- main: the file with all other changes.
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a class and the database, and the SQL that resolves it.

    Attributes:
        table: name of the table, with its schema.
        what: the difference, as a sentence.
        sql: SQL that resolves it; empty if calling `manage` at the end of the file is enough.
        weight: "addition", "decision" or "remark".
        place: "first" or "main".
        manage: call of `manage` for the table; empty if none is needed or `sql` contains it.
        concurrently: SQL for a table in use, which does not block writers. It cannot run in a transaction, so
            it is the only statement of a file.
        name: name of that file.
    """

    table: str
    what: str
    sql: str = ""
    weight: Weight = "addition"
    place: Place = "main"
    manage: str = ""
    concurrently: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.table}: {self.what}"

    @property
    def comment(self) -> str:
        """The difference and its SQL as SQL comments; the linter recognises a decision by its first words."""
        heading = f"storekit: decide: {self}" if self.weight == "decision" else f"{self}; it may stay, or:"
        return "\n".join(f"-- {line}" for line in f"{heading}\n{self.sql}".splitlines())


@dataclass(frozen=True, slots=True)
class File:
    """A migration file that is still to be written: its name without number and suffix, and its text."""

    stem: str
    text: str


def files(differences: Sequence[Difference], *, in_use: bool = True) -> Iterator[File]:
    """Yield the next migration files, in the order in which they must run.

    Args:
        differences: of any number of tables.
        in_use: create indexes with CONCURRENTLY, each in a file of its own.
    """
    first = [each for each in differences if each.place == "first"]
    alone = [each for each in differences if each.concurrently and in_use]
    main = [each for each in differences if each not in first and each not in alone]
    if first:
        yield File(f"{_stem(first)}_labels", "\n".join(each.sql for each in first) + "\n")
    if main:
        yield File(_stem(main), "\n\n".join(_blocks(main)) + "\n")
    for each in alone:
        yield File(each.name, f"-- storekit: no transaction\n{each.concurrently}\n")


def _blocks(differences: Sequence[Difference]) -> Iterator[str]:
    """Yield new tables first, then the changes of each other table, with its call of `manage` last."""
    for each in differences:
        if not each.manage:
            yield each.sql.rstrip() if each.weight == "addition" else each.comment
    changes: dict[str, list[Difference]] = {}
    for each in differences:
        if each.manage:
            changes.setdefault(each.manage, []).append(each)
    for manage, of_table in changes.items():
        yield from (each.comment for each in of_table if each.weight != "addition")
        yield "\n".join([*(each.sql for each in of_table if each.sql and each.weight == "addition"), manage])


def _stem(differences: Iterable[Difference]) -> str:
    """Return the name of a file: its tables, or the first one and the number of the others."""
    tables = dict.fromkeys(each.table.removeprefix("public.").replace(".", "_") for each in differences)
    names = [name.replace('"', "") for name in tables]
    return "_".join(names) if len("_".join(names)) <= 60 else f"{names[0]}_and_{len(names) - 1}_more"
