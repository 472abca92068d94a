"""One difference between a class and the database, and the migration files that many of them make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Weight = Literal["addition", "decision", "remark"]
"""What nothing is lost by, what a person has to decide, what may well stay as it is."""
Place = Literal["first", "main"]
"""Before the rest, because the rest uses it and that takes a transaction of its own; or with it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, and the SQL that ends it."""

    table: str
    what: str
    sql: str = ""
    """Empty: the call of `manage` that ends the file is enough."""
    weight: Weight = "addition"
    place: Place = "main"
    manage: str = ""
    """The call of `manage`; empty where there is none, or the SQL has it."""
    concurrently: str = ""
    """The SQL for a table in use, where nobody is to wait: the one statement of a file."""
    name: str = ""
    """Of that file."""

    def __str__(self) -> str:
        return f"{self.table}: {self.what}"

    @property
    def comment(self) -> str:
        """Tell a person what to decide, which the linter knows by its first words, or what may stay."""
        heading = f"storekit: decide: {self}" if self.weight == "decision" else f"{self}; it may stay, or:"
        return "\n".join(f"-- {line}" for line in f"{heading}\n{self.sql}".splitlines())


@dataclass(frozen=True, slots=True)
class File:
    """A migration file to be: what its name says, and its text."""

    stem: str
    text: str


def files(differences: Sequence[Difference], *, in_use: bool = True) -> Iterator[File]:
    """Write differences as the texts of the next migration files, in their order."""
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
    """Write new tables whole, then what each other table lacks, with `manage` at its end."""
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
    """Name a file after its tables."""
    tables = dict.fromkeys(each.table.removeprefix("public.").replace(".", "_") for each in differences)
    names = [name.replace('"', "") for name in tables]
    return "_".join(names) if len("_".join(names)) <= 60 else f"{names[0]}_and_{len(names) - 1}_more"
