"""Runs of agents, their outputs and the tools that they called."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from storekit.model.declare.entity import Entity, Mutable, SoftDelete
from storekit.model.table.fields import Expired, blob, document, moves, references
from storekit.model.table.indexes import index
from storekit.model.values.blob import Blob


class ActivityRunStatus(StrEnum):
    """State of an attempt; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_RUNS = {
    ActivityRunStatus.PENDING: [ActivityRunStatus.RUNNING, ActivityRunStatus.CANCELLED],
    ActivityRunStatus.RUNNING: [
        ActivityRunStatus.SUCCEEDED,
        ActivityRunStatus.FAILED,
        ActivityRunStatus.CANCELLED,
    ],
}


class ActivityRun(
    Entity,
    Mutable,
    table="activity_runs",
    line="agency",
    indexes=[
        index("-created_on"),
        index("-created_on", where={"status": [ActivityRunStatus.PENDING, ActivityRunStatus.RUNNING]}),
    ],
):
    """One attempt of an agent at one activity."""

    activity: str
    agent: str
    attempt: int = Field(default=1, ge=1)
    status: Annotated[
        ActivityRunStatus, moves(_RUNS, initial=[ActivityRunStatus.PENDING, ActivityRunStatus.RUNNING])
    ] = ActivityRunStatus.PENDING
    started_on: datetime | None = None
    finished_on: datetime | None = None
    error: str | None = None


class ActivityOutputStatus(StrEnum):
    """State of an output in its review."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"


_REVIEWS = {
    ActivityOutputStatus.DRAFT: [ActivityOutputStatus.IN_REVIEW],
    ActivityOutputStatus.IN_REVIEW: [
        ActivityOutputStatus.DRAFT,
        ActivityOutputStatus.APPROVED,
        ActivityOutputStatus.REJECTED,
    ],
    ActivityOutputStatus.REJECTED: [ActivityOutputStatus.DRAFT],
}


class OutputMetadata(BaseModel):
    """Description of an output; `details` contains fields that are specific to a kind of output."""

    title: str
    summary: str | None = None
    language: str | None = None
    keywords: list[str] = []
    details: dict[str, Any] = {}


class ActivityOutput(
    Entity,
    Mutable,
    SoftDelete,
    table="activity_outputs",
    line="agency",
    indexes=[
        index("-created_on", where={"deleted_on": None}),
        index("-created_on", where={"status": ActivityOutputStatus.IN_REVIEW, "deleted_on": None}),
    ],
):
    """A deliverable of a run. A blog post refers to its output for the text."""

    run_id: Annotated[UUID, references(ActivityRun)]
    status: Annotated[
        ActivityOutputStatus,
        moves(_REVIEWS, initial=[ActivityOutputStatus.DRAFT, ActivityOutputStatus.IN_REVIEW]),
    ] = ActivityOutputStatus.DRAFT
    reviewed_on: datetime | None = None
    reviewed_by: str | None = None
    metadata: Annotated[OutputMetadata, document(collection="activity_outputs", links=("content",))]
    content: Annotated[Blob, blob(media_type="text/markdown")]


class ToolCallStatus(StrEnum):
    """State of a tool call."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


_CALLS = {ToolCallStatus.RUNNING: [ToolCallStatus.SUCCEEDED, ToolCallStatus.FAILED]}


class ToolPayload(BaseModel):
    """Request and response of a tool call, in the format of the tool."""

    request: dict[str, Any]
    response: dict[str, Any] | None = None


class ToolCall(
    Entity,
    Mutable,
    SoftDelete,
    table="tool_calls",
    line="agency",
    indexes=[
        index("-created_on", where={"deleted_on": None}),
        index("-created_on", where={"status": ToolCallStatus.FAILED, "deleted_on": None}),
    ],
):
    """A call of a tool: the summary is kept in Postgres, the payload for 90 days in MongoDB."""

    run_id: Annotated[UUID, references(ActivityRun)]
    name: str
    method: str
    status: Annotated[ToolCallStatus, moves(_CALLS, initial=list(ToolCallStatus))] = ToolCallStatus.RUNNING
    duration_ms: int | None = Field(default=None, ge=0)
    payload: Annotated[
        ToolPayload | Expired | None, document(collection="tool_call_logs", ttl=timedelta(days=90))
    ] = None
