"""Find records by their columns, page by page, and count them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from storekit.errors import ConfigurationError, Corrupt, Unreadable, ValidationError
from storekit.flows import calls
from storekit.flows.context import Context
from storekit.flows.read.load import document_fields, load_documents, whole_row
from storekit.model.declare.entity import Entity
from storekit.model.find.orders import order_of
from storekit.model.find.page import Page
from storekit.model.find.page_cursors import PageCursors
from storekit.model.find.query import conditions_of
from storekit.model.save.load import entity_from
from storekit.model.values.limits import check_limit
from storekit.ports.statements import Count, Search

E = TypeVar("E", bound=Entity)
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """The arguments of `find`, which documents them. `count` has only the first two."""

    where: Mapping[str, Any] | None
    deleted: bool
    order_by: str | Sequence[str] | None = None
    limit: int = LONGEST
    after: str | None = None
    load: Sequence[str] = ()
    unindexed: bool = False


async def find(context: Context, entity: type[E], query: Query) -> Page[E]:
    """Read one page. One Postgres trip, and one MongoDB trip for each collection in `load`, in parallel."""
    table = entity.storekit_table
    check_limit(query.limit, LONGEST)
    documents = document_fields(table, query.load)
    conditions = conditions_of(entity, query.where, deleted=query.deleted)
    order = order_of(entity, query.order_by, conditions, unindexed=query.unindexed)
    cursors = PageCursors(table, context.actor.tenant, conditions, order.columns)
    whole = whole_row(table, ())
    statement = Search(
        table.name,
        whole.columns,
        whole.parts,
        conditions,
        order.columns,
        query.limit + 1,  # one more row than the page shows whether there is a next page
        None if query.after is None else cursors.open(query.after),
        order.indexed,
        order.pinned,
        order.ties,
    )
    rows = await _read(context, cursors, statement)
    # defence in depth: the query and row-level security both limit the rows to the tenant already
    for row in rows:
        if row["tenant_id"] != context.actor.tenant:
            raise Corrupt(
                f"{table.name} {row['ref_id']}", "a record of this tenant", "a record of another tenant"
            )
    items = tuple(entity_from(entity, row) for row in rows[: query.limit])
    await load_documents(context, items, documents)
    more = len(rows) > query.limit
    return Page(items, _next(cursors, statement, rows[query.limit - 1]) if more else None)


async def _read(context: Context, cursors: PageCursors, statement: Search) -> list[Mapping[str, Any]]:
    try:
        (rows,) = await calls.read(context, [statement])
    except ConfigurationError as error:
        # Another version of the class has members that this one does not know, so only Postgres can tell
        # whether a value of a cursor is a member.
        if statement.after is not None and cursors.has_unknown_members(statement.after):
            raise cursors.refusal() from error
        raise
    found: list[Mapping[str, Any]] = rows
    return found


def _next(cursors: PageCursors, statement: Search, last: Mapping[str, Any]) -> str:
    try:
        return cursors.seal(last)
    except ValidationError as error:
        if error.field != "after":
            raise
        columns = ", ".join(each.column for each in statement.order)
        raise Unreadable(statement.table, last["ref_id"], columns, str(error)) from error


async def count(context: Context, entity: type[Entity], query: Query) -> int:
    """Count records. One Postgres trip."""
    conditions = conditions_of(entity, query.where, deleted=query.deleted)
    statement = Count(entity.storekit_table.name, conditions)
    found: int
    (found,) = await calls.read(context, [statement])
    return found
