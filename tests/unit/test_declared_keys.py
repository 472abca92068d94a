"""Indexes, natural keys and scopes that a class declares, and what it is told when it may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import create_model

from storekit import Blob, Entity, Mutable, SoftDelete, UsageError, blob, index, not_null, references, unique
from storekit.model.table.keys import key_definitions
from storekit.schema.ddl import render


class Status(StrEnum):
    OPEN = "open"
    DONE = "done"


class Plan(Entity, Mutable, table="plans", scope="global"):
    name: str


class Tenant(Entity, Mutable, table="tenants", scope="self"):
    name: str


class Assignee(Entity, table="assignees"):
    name: str


class Lead(
    Entity,
    Mutable,
    SoftDelete,
    table="leads",
    indexes=[
        index("status", "-created_on"),
        unique("email", where={"deleted_on": None}),
        index("order", where={"status": {Status.OPEN, Status.DONE}, "closed_on": not_null, "score": 7}),
    ],
    natural_key=("external_id",),
):
    status: Status = Status.OPEN
    email: str
    external_id: str
    order: int = 0
    score: int = 0
    closed_on: datetime | None = None
    tags: list[str] = []
    content: Annotated[Blob | None, blob()] = None


FIELDS: dict[str, Any] = {
    "status": (Status, Status.OPEN),
    "note": (str | None, None),
    "tags": (list[str], []),
    "extra": (dict[str, Any], {}),
    "content": (Annotated[Blob | None, blob()], None),
}


def declare(**keywords: Any) -> Callable[[], object]:
    return lambda: create_model("Bad", __base__=Entity, __cls_kwargs__={"table": "bad", **keywords}, **FIELDS)


def refer(annotation: Any, **keywords: Any) -> Callable[[], object]:
    fields: dict[str, Any] = {"x": (annotation, ...)}
    return lambda: create_model("Bad", __base__=Entity, __cls_kwargs__={"table": "bad", **keywords}, **fields)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "an index of nothing": (index, 'index("status", "-created_on")'),
    "a column that is no name": (lambda: unique(3), "must name columns"),  # type: ignore[arg-type]
    "a condition that is SQL": (lambda: index("x", where="x > 3"), "must map columns to values"),  # type: ignore[arg-type]
    "indexes that are one": (declare(indexes=index("status")), "a list of index(...)"),
    "indexes that are names": (declare(indexes=["status"]), "a list of index(...)"),
    "an unknown column": (declare(indexes=[index("statu")]), "no column 'statu'; the class has status, note"),
    "a column of SQL": (declare(indexes=[index("note) --")]), "no column"),
    "a part": (declare(indexes=[unique("content")]), "content is a blob; only columns"),
    "a ref of a part": (declare(indexes=[index("content_ref")]), "no column"),
    "a column of a mixin that is not there": (declare(indexes=[index("deleted_on")]), "no column"),
    "the tenant": (
        declare(indexes=[index("tenant_id", "note")]),
        "tenant_id is the first column of every index",
    ),
    "a column of jsonb": (declare(indexes=[index("extra")]), "jsonb, which has no order"),
    "a column of an array": (declare(indexes=[index("tags")]), "text[], which has no order"),
    "a column twice": (declare(indexes=[index("note", "-note")]), "duplicate column"),
    "an index twice": (declare(indexes=[index("note"), index("note")]), "declared twice"),
    "an index whose end is said": (
        declare(indexes=[index("-note", "-ref_id"), index("-note")]),
        "Index(columns=('-note',), unique=False, where={}) is declared twice",
    ),
    "a condition on nothing": (declare(indexes=[index("note", where={"nope": 1})]), "no column 'nope'"),
    "a condition on the tenant": (
        declare(indexes=[index("note", where={"tenant_id": UUID(int=0)})]),
        "tenant_id is the first",
    ),
    "a value of another type": (declare(indexes=[index("note", where={"note": 3})]), "must be str"),
    "a value that is no member": (declare(indexes=[index("note", where={"status": "lost"})]), "open, done"),
    "a value with U+0000": (declare(indexes=[index("note", where={"note": "\0"})]), "U+0000"),
    "None where it never is": (declare(indexes=[index("note", where={"status": None})]), "not nullable"),
    "not_null where it always is": (
        declare(indexes=[index("note", where={"status": not_null})]),
        "not nullable",
    ),
    "no values": (declare(indexes=[index("note", where={"note": []})]), "list of values"),
    "None among values": (
        declare(indexes=[index("note", where={"note": ["a", None]})]),
        "pass None or not_null alone",
    ),
    "a value of jsonb": (
        declare(indexes=[index("note", where={"extra": {}})]),
        "jsonb column can only be compared with None",
    ),
    "a natural key that is text": (declare(natural_key="note"), '("external_id",)'),
    "a natural key that may be None": (declare(natural_key=("note",)), "non-nullable"),
    "a natural key of storekit": (declare(natural_key=("created_on",)), "field of the class"),
    "a natural key that descends": (declare(natural_key=("-status",)), "no column"),
    "keywords without a table": (declare(table=None, indexes=[index("note")]), "indexes= needs a table"),
    "another scope": (declare(scope="galaxy"), "tenant, global, self"),
    "a global class that refers to a tenant's": (
        refer(Annotated[UUID, references(Assignee)], scope="global"),
        "can only refer to global classes",
    ),
    "a global class that refers to a name": (
        refer(Annotated[UUID, references("plans")], scope="global"),
        "pass the class to references()",
    ),
    "a cascade from a global class": (
        refer(Annotated[UUID, references(Plan, on_delete="cascade")]),
        'on_delete="restrict"',
    ),
    "a null from a global class": (
        refer(Annotated[UUID | None, references(Plan, on_delete="set null")]),
        'on_delete="restrict"',
    ),
}


@pytest.mark.parametrize(("make", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_key_that_cannot_be_is_refused_where_the_class_is_defined(
    make: Callable[[], object], told: str
) -> None:
    """A declaration of an index, a natural key or a scope that cannot hold is a UsageError."""
    with pytest.raises(UsageError) as caught:
        make()
    assert told in str(caught.value)


def test_indexes_lead_with_the_tenant_and_hold_data_not_sql() -> None:
    """Each declared index begins with tenant_id and, if it is for lists, ends with ref_id.

    Values of its condition are literals of their column.
    """
    text = render(Lead)
    for piece in (
        " ON public.leads (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'open';",
        " ON public.leads (tenant_id, created_on DESC, ref_id DESC) WHERE status = 'done';",
        " ON public.leads (tenant_id, email) WHERE deleted_on IS NULL;",
        """ ON public.leads (tenant_id, "order", ref_id) WHERE status IN ('done', 'open')"""
        " AND closed_on IS NOT NULL AND score = 7;",
        "    CONSTRAINT leads_natural_key UNIQUE (tenant_id, external_id)",
    ):
        assert piece in text
    assert text.count("CREATE UNIQUE INDEX") == 1


def test_an_index_over_states_is_one_for_each_of_them() -> None:
    """Each state that the index may hold has an index of its own, of the other columns or of ref_id."""
    declared = index("status", "note", "-other", where={"other": [Status.DONE]}), index("status")
    fields: dict[str, Any] = {"status": (Status, ...), "other": (Status, ...), "note": (str, ...)}
    keywords = {"table": "made", "indexes": declared}
    made = create_model("Made", __base__=Entity, __cls_kwargs__=keywords, **fields).storekit_table.indexes
    assert [(each.order, each.where) for each in made] == [
        (("note", "ref_id"), {"status": "open", "other": "done"}),
        (("note", "ref_id"), {"status": "done", "other": "done"}),
        (("ref_id",), {"status": "open"}),
        (("ref_id",), {"status": "done"}),
    ]


ORDERS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("note",), ("note", "ref_id")),
    (("-note",), ("-note", "-ref_id")),
    (("-score", "note"), ("-score", "note", "ref_id")),
    (("-ref_id",), ("-ref_id",)),
    (("ref_id", "-note"), ("ref_id", "-note")),
]


@pytest.mark.parametrize(("columns", "order"), ORDERS)
def test_an_index_for_lists_has_a_total_order(columns: tuple[str, ...], order: tuple[str, ...]) -> None:
    """ref_id ends an index, in the direction of its last column, unless it is in it; never a unique one."""
    assert index(*columns).order == order
    assert unique(*columns).order == columns


VALUES: list[tuple[Any, Any, str]] = [
    (str, "it's", "x = 'it''s'"),
    (bool, True, "x = true"),
    (float, 1.5, "x = '1.5'"),
    (Decimal, Decimal("1.50"), "x = '1.50'"),
    (UUID, UUID(int=1), "x = '00000000-0000-0000-0000-000000000001'"),
    (datetime, datetime(2026, 1, 2, tzinfo=UTC), "x = '2026-01-02T00:00:00+00:00'"),
    (int, (3, 1, 3), "x IN (1, 3)"),
    (dict[str, Any] | None, None, "x IS NULL"),
]


@pytest.mark.parametrize(("kind", "value", "condition"), VALUES)
def test_a_condition_is_written_in_its_columns_type(kind: Any, value: Any, condition: str) -> None:
    """A value becomes a literal that Postgres reads as the column's type."""
    fields: dict[str, Any] = {"x": (kind, ...)}
    keywords = {"table": "made", "indexes": [index("created_on", where={"x": value})]}
    made = create_model("Made", __base__=Entity, __cls_kwargs__=keywords, **fields)
    assert f" WHERE {condition};" in render(made)


def test_an_indexs_name_is_short_and_its_definitions_own() -> None:
    """Names have at most 63 bytes; two definitions never share one, one definition keeps it."""
    long = "x" * 50
    fields: dict[str, Any] = dict.fromkeys((long, "a", "b", "a_b"), (str, ...))
    declared = [
        *(index("a", "b"), index("a_b"), index("-a_b"), unique("a_b"), index(long), index(long, "a")),
        *(index("a", where={"b": "1"}), index("a", where={"b": "2"})),
    ]
    names = []
    for table in ("t" * 50, "u", "u_a"):
        keywords = {"table": table, "indexes": declared}
        made = create_model("Made", __base__=Entity, __cls_kwargs__=keywords, **fields)
        names += [key.name for key in key_definitions(made.storekit_table) if key.kind.endswith("INDEX")]
    assert len(set(names)) == len(names) == 24
    assert max(map(len, names)) <= 63
    found = [key.name for key in key_definitions(Lead.storekit_table) if key.kind == "UNIQUE INDEX"]
    assert found == ["leads_email_uq_76ea4c0d"]


def test_a_global_class_is_keyed_by_id_and_referred_to_by_id() -> None:
    """A global row belongs to no tenant: its id is unique, and references to it leave the tenant out."""

    class Subscription(Entity, table="subscriptions"):
        plan_id: Annotated[UUID, references(Plan)]
        tenant_ref: Annotated[UUID, references(Tenant)]

    assert "\n    UNIQUE (id)\n" in render(Plan)
    assert render(Plan).endswith("SELECT storekit.manage('public.plans', 'global');\n")
    assert "UNIQUE (id)" not in render(Subscription)
    text = render(Subscription)
    assert "FOREIGN KEY (plan_id) REFERENCES public.plans (id) ON DELETE RESTRICT" in text
    assert "FOREIGN KEY (tenant_id, tenant_ref) REFERENCES public.tenants (tenant_id, id)" in text
    assert "CREATE INDEX ON public.subscriptions (plan_id, tenant_id, ref_id);" in text


def test_a_reference_has_a_name_that_postgres_keeps() -> None:
    """However long table and columns are called, the names of their references fit and are their own."""
    one, two = ("c" * 49 + end for end in "ab")
    fields = dict.fromkeys((one, two), Annotated[UUID, references(Plan)])
    long = type("Long", (Entity,), {"__annotations__": fields, "__module__": __name__}, table="t" * 50)
    names = re.findall(r"CONSTRAINT (\w+) FOREIGN KEY", render(long))
    assert len({*names}) == 2
    assert all(len(name) <= 63 for name in names)


def test_a_global_class_may_refer_to_another() -> None:
    """Two global rows are of the same, nil tenant, so their key has both columns and any on_delete."""

    class Feature(Entity, Mutable, table="features", scope="global"):
        plan_id: Annotated[UUID, references(Plan, on_delete="cascade")]
        parent_id: Annotated[UUID | None, references("self", on_delete="set null")] = None

    text = render(Feature)
    assert (
        "FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plans (tenant_id, id) ON DELETE CASCADE" in text
    )
    assert "REFERENCES public.features (tenant_id, id) ON DELETE SET NULL (parent_id)" in text


def test_a_self_class_is_its_own_tenant() -> None:
    """`scope="self"` is a check of the table, and told to manage."""
    text = render(Tenant)
    assert "CHECK (tenant_id = id)" in text
    assert text.endswith("SELECT storekit.manage('public.tenants', 'self');\n")


def test_plan_tells_scope_and_keys() -> None:
    """`plan()` shows the scope, if it is not a tenant's."""
    assert Plan.plan().startswith("Plan -> plans (global)\n")
    assert Lead.plan().startswith("Lead -> leads\n")
