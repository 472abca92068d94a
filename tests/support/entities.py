"""Entities of the tests: together they use every form of declaration."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from storekit import (
    Blob,
    Entity,
    Expired,
    Mutable,
    SoftDelete,
    blob,
    document,
    index,
    lookup,
    moves,
    references,
    unique,
)
from tests.support.draft_models import Draft
from tests.support.value_models import Valued


class Status(StrEnum):
    RUNNING = "running"
    DONE = "done"


class Payload(BaseModel):
    q: str
    hits: list[int] = []


class Address(BaseModel):
    street: str
    floors: dict[str, int] = {}


class Run(Entity, Mutable, table="runs"):
    """Only columns; other entities refer to it."""

    name: str
    score: int = 0


class Call(Entity, Mutable, SoftDelete, table="calls"):
    """A reference, columns, a blob, and a document that expires and links the blob."""

    run_id: Annotated[UUID, references(Run)]
    name: str
    status: Status = Status.RUNNING
    tags: list[str] = Field(default=[])
    meta: dict[str, int] = Field(default={})
    payload: Annotated[
        Payload | Expired | None,
        document(collection="tool_call_logs", ttl=timedelta(days=90), links=("transcript",)),
    ] = None
    transcript: Annotated[Blob | None, blob(media_type="text/markdown")] = None


class Report(Entity, Mutable, table="reports"):
    """Removed by a delete."""

    run_id: Annotated[UUID | None, references(Run, on_delete="set null")] = None
    title: str
    body: Annotated[dict[str, Any] | None, document(collection="report_bodies")] = None
    pdf: Annotated[Blob | None, blob(media_type="application/pdf")] = None


class Remark(Entity, Mutable, table="remarks"):
    """Deleted together with its report."""

    report_id: Annotated[UUID, references(Report, on_delete="cascade")]
    text: str


class Clip(Entity, Mutable, SoftDelete, table="clips"):
    """Hidden by its own delete, removed together with its report."""

    report_id: Annotated[UUID, references(Report, on_delete="cascade")]


class Folder(Entity, Mutable, table="folders"):
    """Deleted together with its parent folder; keeps no reference to a deleted call."""

    parent_id: Annotated[UUID | None, references("self", on_delete="cascade")] = None
    call_id: Annotated[UUID | None, references(Call, on_delete="set null")] = None
    cover: Annotated[Blob | None, blob(media_type="image/png")] = None


class Note(Entity, table="notes"):
    """Append-only, with a required blob."""

    title: str
    content: Annotated[Blob, blob(media_type="text/plain")]


class Wide(Entity, table="wide"):
    """Ten parts."""

    a: Annotated[Blob | None, blob()] = None
    b: Annotated[Blob | None, blob()] = None
    c: Annotated[Blob | None, blob()] = None
    d: Annotated[Blob | None, blob()] = None
    e: Annotated[Blob | None, blob()] = None
    f: Annotated[dict[str, int] | None, document(collection="wide_documents")] = None
    g: Annotated[dict[str, int] | None, document(collection="wide_documents")] = None
    h: Annotated[dict[str, int] | None, document(collection="wide_documents")] = None
    i: Annotated[dict[str, int] | None, document(collection="wide_others")] = None
    j: Annotated[dict[str, int] | None, document(collection="wide_others")] = None


class Columns(Entity, Mutable):
    """Each type of column; the base of classes with a table."""

    text: str | None = None
    number: int | None = None
    real: float | None = None
    money: Decimal | None = None
    flag: bool | None = None
    uid: UUID | None = None
    moment: datetime | None = None
    day: date | None = None
    status: Status | None = None
    texts: list[str] | None = None
    numbers: list[int] | None = None
    reals: list[float] | None = None
    tree: dict[str, Any] | None = None
    address: Address | None = None


class Everything(Columns, table="everything"):
    """Each type of column, and a document of any shape."""

    doc: Annotated[dict[str, Any] | None, document(collection="everything_docs")] = None


class Slot(
    Columns,
    table="slots",
    indexes=[
        *map(unique, ("text", "number", "real", "money", "uid", "moment", "day")),
        unique("status", "flag"),
        unique("run_id", where={"main": True}),
    ],
):
    """A unique key of each type of column, and one main slot of each run."""

    run_id: Annotated[UUID | None, references(Run)] = None
    t: bool = False
    main: bool = False


class OrderStatus(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REFUNDED = "refunded"


_WAITING: dict[str, Any] = {"status": [OrderStatus.PENDING], "deleted_on": None}


class Order(
    Entity,
    Mutable,
    SoftDelete,
    table="orders",
    indexes=[
        unique("external_id"),
        unique("batch", where=_WAITING),
        unique("batch", where={"status": OrderStatus.SHIPPED}),
    ],
):
    """Has a state machine; its initial state is the default."""

    number: str
    external_id: str | None = None
    batch: str | None = None
    status: Annotated[
        OrderStatus,
        moves(
            {
                OrderStatus.PENDING: [OrderStatus.CONFIRMED, OrderStatus.REFUNDED],
                OrderStatus.CONFIRMED: [OrderStatus.SHIPPED, OrderStatus.REFUNDED],
                OrderStatus.SHIPPED: [OrderStatus.DELIVERED],
                OrderStatus.DELIVERED: [OrderStatus.REFUNDED],
            }
        ),
    ] = OrderStatus.PENDING


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class Job(
    Entity,
    Mutable,
    table="jobs",
    indexes=[index("status", "priority"), index("leased_until", where={"status": JobStatus.RUNNING})],
):
    """A queue, whose jobs can be claimed again when their lease has ended."""

    name: str
    priority: int = 0
    leased_until: datetime | None = None
    status: Annotated[
        JobStatus, moves({JobStatus.QUEUED: [JobStatus.RUNNING], JobStatus.RUNNING: [JobStatus.DONE]})
    ] = JobStatus.QUEUED


class Tariff(Entity, Mutable, table="tariffs", scope="global"):
    """Global: all tenants can read it."""

    name: str
    terms: Annotated[Blob | None, blob(media_type="text/markdown")] = None


class Customer(Entity, Mutable, table="customers", scope="self"):
    """Each record is its own tenant."""

    name: str
    tariff_id: Annotated[UUID | None, references(Tariff)] = None


class Login(Entity, Mutable, SoftDelete, table="logins"):
    """Has a lookup field."""

    digest: Annotated[str, lookup()]


class Stage(StrEnum):
    """An enum whose order differs from the alphabetical one."""

    NEW = "new"
    WON = "won"
    LOST = "lost"


class Lead(
    Entity,
    Mutable,
    SoftDelete,
    table="leads",
    natural_key=("number",),
    indexes=[
        index("-created_on"),
        index("-score"),
        index("due"),
        index("team", "-due"),
        index("team", "score"),
        index("-due", where={"stage": Stage.NEW, "deleted_on": None}),
        unique("email"),
    ],
):
    """Has indexes for many orders."""

    number: str
    team: str | None = None
    score: int = 0
    due: datetime | None = None
    email: str | None = None
    stage: Stage = Stage.NEW
    worth: Decimal = Decimal(0)
    run_id: Annotated[UUID | None, references(Run)] = None
    lead_id: Annotated[UUID | None, references("self")] = None
    tariff_id: Annotated[UUID | None, references(Tariff)] = None
    report_id: Annotated[UUID | None, references("reports")] = None
    notes: Annotated[dict[str, int] | None, document(collection="lead_notes")] = None
    letter: Annotated[dict[str, int] | None, document(collection="lead_letters")] = None


class Kind(StrEnum):
    """An enum whose order differs from the alphabetical one."""

    OPENED = "opened"
    CLICKED = "clicked"


class Hit(Entity, table="hits", natural_key=("kind", "external_id")):
    """An event of another system, which may be delivered more than once; append-only."""

    kind: Kind = Kind.OPENED
    external_id: str
    lead_id: Annotated[UUID | None, references(Lead)] = None
    amount: Decimal = Decimal(0)
    payload: Annotated[dict[str, Any] | None, document(collection="hit_payloads")] = None
    proof: Annotated[Blob | None, blob(media_type="text/plain")] = None


class Visit(Entity, Mutable, table="visits", natural_key=("kind", "place")):
    """Has a natural key of an enum and a text."""

    kind: Kind
    place: str


class Team(Entity, Mutable, table="teams"):
    """Refers to its lead, who refers to the team."""

    name: str
    lead_id: Annotated[UUID | None, references("members")] = None


class Member(Entity, Mutable, table="members"):
    """Refers to a team, which may refer back, and to another member."""

    name: str
    team_id: Annotated[UUID, references(Team)]
    mentor_id: Annotated[UUID | None, references("self")] = None


class Sheet(Entity, Mutable, table="sheets", natural_key=("path",)):
    """Has a natural key, a document of its own, and a document that links a blob."""

    path: str
    n: int = 0
    m: int = 0
    rows: Annotated[dict[str, int] | None, document(collection="sheet_rows")] = None
    caption: Annotated[dict[str, int] | None, document(collection="sheet_captions", links=("chart",))] = None
    chart: Annotated[Blob | None, blob(media_type="image/png")] = None


class Verdict(Entity, Mutable, SoftDelete, table="verdicts", natural_key=("matter",), reason_required=True):
    """Each change needs a reason."""

    matter: str
    stage: Annotated[Stage, moves({Stage.NEW: (Stage.WON, Stage.LOST), Stage.WON: (Stage.WON,)})] = Stage.NEW


ENTITIES = (
    Run,
    Call,
    Report,
    Remark,
    Clip,
    Folder,
    Note,
    Wide,
    Everything,
    Slot,
    Order,
    Job,
    Tariff,
    Customer,
    Login,
    Lead,
    Hit,
    Visit,
    Valued,
    Draft,
    Sheet,
    Team,
    Member,
    Verdict,
)
