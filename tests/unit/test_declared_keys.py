"""Declarations of indexes, natural keys and scopes, and the errors of invalid ones."""

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
    "an index without columns": (index, 'index("status", "-created_on")'),
    "a column that is a number": (lambda: unique(3), "must name columns"),  # type: ignore[arg-type]
    "a condition that is SQL": (lambda: index("x", where="x > 3"), "must map columns to values"),  # type: ignore[arg-type]
    "indexes that are not a list": (declare(indexes=index("status")), "a list of index(...)"),
    "indexes that are names": (declare(indexes=["status"]), "a list of index(...)"),
    "an unknown column": (declare(indexes=[index("statu")]), "no column 'statu'; the class has status, note"),
    "a column of SQL": (declare(indexes=[index("note) --")]), "no column"),
    "a part": (declare(indexes=[unique("content")]), "content is a blob; only columns"),
    "a ref of a part": (declare(indexes=[index("content_ref")]), "no column"),
    "a column of a missing mixin": (declare(indexes=[index("deleted_on")]), "no column"),
    "the tenant": (
        declare(indexes=[index("tenant_id", "note")]),
        "tenant_id is the first column of every index",
    ),
    "a column of jsonb": (declare(indexes=[index("extra")]), "jsonb, which has no order"),
    "a column of an array": (declare(indexes=[index("tags")]), "text[], which has no order"),
    "a duplicate column": (declare(indexes=[index("note", "-note")]), "duplicate column"),
    "a duplicate index": (declare(indexes=[index("note"), index("note")]), "declared twice"),
    "an index that ends in ref_id": (
        declare(indexes=[index("-note", "-ref_id"), index("-note")]),
        "Index(columns=('-note',), unique=False, where={}) is declared twice",
    ),
    "a condition on an unknown column": (
        declare(indexes=[index("note", where={"nope": 1})]),
        "no column 'nope'",
    ),
    "a condition on the tenant": (
        declare(indexes=[index("note", where={"tenant_id": UUID(int=0)})]),
        "tenant_id is the first",
    ),
    "a value of another type": (declare(indexes=[index("note", where={"note": 3})]), "must be str"),
    "an unknown member": (declare(indexes=[index("note", where={"status": "lost"})]), "open, done"),
    "a value with U+0000": (declare(indexes=[index("note", where={"note": "\0"})]), "U+0000"),
    "None for a required column": (declare(indexes=[index("note", where={"status": None})]), "not nullable"),
    "not_null for a required column": (
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
    "a nullable natural key": (declare(natural_key=("note",)), "non-nullable"),
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
    "set null from a global class": (
        refer(Annotated[UUID | None, references(Plan, on_delete="set null")]),
        'on_delete="restrict"',
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_key_raises_at_the_class(make: Callable[[], object], message: str) -> None:
    """An invalid index, natural key or scope raises UsageError where the class is defined."""
    with pytest.raises(UsageError) as caught:
        make()
    assert message in str(caught.value)


def test_indexes_begin_with_the_tenant_and_conditions_are_literals() -> None:
    """Each declared index begins with tenant_id and, unless it is unique, ends with ref_id.

    Values of its condition are literals of the type of their column.
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


def test_an_index_over_several_states_is_one_index_for_each() -> None:
    """Each state in the condition has an index of its own, on the other columns or on ref_id."""
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
    """An index that is not unique ends in ref_id, in the direction of its last column."""
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
def test_a_condition_is_a_literal_of_the_column_type(kind: Any, value: Any, condition: str) -> None:
    """A value becomes a literal that Postgres reads as the type of the column."""
    fields: dict[str, Any] = {"x": (kind, ...)}
    keywords = {"table": "made", "indexes": [index("created_on", where={"x": value})]}
    made = create_model("Made", __base__=Entity, __cls_kwargs__=keywords, **fields)
    assert f" WHERE {condition};" in render(made)


def test_the_name_of_an_index_is_unique_and_stable() -> None:
    """Names have at most 63 bytes, differ between definitions, and depend only on the definition."""
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


def test_a_global_class_is_referenced_by_id() -> None:
    """The id of a global row is unique, and references to it leave out the tenant."""

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


def test_the_name_of_a_reference_is_unique_and_fits() -> None:
    """The names of foreign keys fit into 63 bytes and are unique, however long table and column are."""
    one, two = ("c" * 49 + end for end in "ab")
    fields = dict.fromkeys((one, two), Annotated[UUID, references(Plan)])
    long: Any = type("Long", (Entity,), {"__annotations__": fields, "__module__": __name__}, table="t" * 50)
    names = re.findall(r"CONSTRAINT (\w+) FOREIGN KEY", render(long))
    assert len({*names}) == 2
    assert all(len(name) <= 63 for name in names)


def test_a_global_class_may_refer_to_another() -> None:
    """A reference between global rows has both columns in its key, and any on_delete."""

    class Feature(Entity, Mutable, table="features", scope="global"):
        plan_id: Annotated[UUID, references(Plan, on_delete="cascade")]
        parent_id: Annotated[UUID | None, references("self", on_delete="set null")] = None

    text = render(Feature)
    assert (
        "FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plans (tenant_id, id) ON DELETE CASCADE" in text
    )
    assert "REFERENCES public.features (tenant_id, id) ON DELETE SET NULL (parent_id)" in text


def test_a_self_class_is_its_own_tenant() -> None:
    """`scope="self"` is a check constraint of the table, and an argument of manage."""
    text = render(Tenant)
    assert "CHECK (tenant_id = id)" in text
    assert text.endswith("SELECT storekit.manage('public.tenants', 'self');\n")


def test_plan_shows_scope_and_keys() -> None:
    """`plan()` shows the scope, unless it is "tenant"."""
    assert Plan.plan().startswith("Plan -> plans (global)\n")
    assert Lead.plan().startswith("Lead -> leads\n")
