"""Lists of tickets, by `find` and by hand with OFFSET."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from storekit import Settings, Store
from storekit.model.find.page import Page
from storekit.model.find.page_cursors import PageCursors
from storekit.ports.statements import Search
from tests.bench.plans import plan, statement_of
from tests.bench.records import ACTOR, TENANT
from tests.bench.tickets import State, Ticket

LIMIT = 20
_QUEUE = f"01{1:024}"


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A list, and the same list in SQL."""

    what: str
    where: Mapping[str, Any]
    order_by: str | None
    test: str
    order: str
    deep: int = 0
    """One in so many of all rows comes before the page."""


_BY_DATE = "created_on DESC, ref_id DESC"
_NEWEST = Listing("newest, first page", {}, None, "", "ref_id DESC")
_OPEN = Listing("open, first page", {"state": State.OPEN}, "-created_on", " AND state = 'open'", _BY_DATE)
_QUEUED = " AND queue_id = (SELECT id FROM bench_queues WHERE tenant_id = %(tenant)s AND ref_id = %(queue)s)"

LISTINGS = (
    _NEWEST,
    replace(_NEWEST, what="newest, in the middle", deep=2),
    _OPEN,
    replace(_OPEN, what="open, in the middle", deep=4),
    Listing(
        "a team's, in the middle",
        {"team": "team 3"},
        "-created_on",
        " AND team = 'team 3'",
        _BY_DATE,
        deep=20,
    ),
    Listing("children of a queue", {"queue.ref_id": _QUEUE}, None, _QUEUED, "ref_id DESC"),
)
UNSERVED = Listing(
    "rare state without an index", {"state": State.LOST}, "-created_on", " AND state = 'lost'", _BY_DATE
)


class Naive:
    """A pool whose connections belong to one tenant: same table and policy, without a trip for it."""

    def __init__(self, settings: Settings) -> None:
        assert settings.postgres_url is not None
        options = {"options": f"-c storekit.tenant={TENANT}", "row_factory": dict_row}
        self._pool: ConnectionPool[psycopg.Connection[DictRow]] = ConnectionPool(
            settings.postgres_url.get_secret_value(), min_size=1, kwargs=options, open=True
        )

    def page(self, listing: Listing, entity: type[Ticket], before: int) -> list[dict[str, Any]]:
        """Read a page after this number of rows. Plain dicts are enough."""
        text = (
            f"SELECT * FROM {entity.storekit_table.name} WHERE tenant_id = %(tenant)s{listing.test} "
            f"ORDER BY {listing.order} LIMIT {LIMIT} OFFSET %(before)s"
        )
        with self._pool.connection() as connection:
            values = {"tenant": TENANT, "before": before, "queue": _QUEUE}
            return connection.execute(text, values).fetchall()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class Ours:
    """One list of one class, at one page."""

    def __init__(self, store: Store, naive: Naive, listing: Listing, entity: type[Ticket], rows: int) -> None:
        self._listing, self._entity = listing, entity
        self._tickets = store.scope(tenant=TENANT, actor=ACTOR).repository(entity)
        self.before = rows // listing.deep if listing.deep else 0
        self._after: str | None = None
        if self.before:
            (last,) = naive.page(listing, entity, self.before - 1)[:1]
            page = self._asked()
            self._after = PageCursors(entity.storekit_table, TENANT, page.conditions, page.order).seal(last)
        theirs = [each["ref_id"] for each in naive.page(listing, entity, self.before)]
        assert [each.ref_id for each in self.page()] == theirs
        assert len(theirs) == LIMIT

    def page(self) -> Page[Ticket]:
        """Read the page."""
        listing = self._listing
        return self._tickets.find(listing.where, order_by=listing.order_by, limit=LIMIT, after=self._after)

    def plan(self, settings: Settings) -> str:
        """Return the plan of the page."""
        return plan(settings, self._asked())

    def _asked(self) -> Search:
        listing = self._listing
        return statement_of(self._entity, listing.where, listing.order_by, LIMIT, self._after)
