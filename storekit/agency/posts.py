"""Blog posts: outputs that are reviewed and published in a channel."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from storekit.agency.runs import ActivityOutput
from storekit.model.declare.entity import Entity, Mutable, SoftDelete
from storekit.model.table.fields import moves, references
from storekit.model.table.indexes import index


class BlogPostStatus(StrEnum):
    """State of a post between draft and publication."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    PUBLISHED = "published"
    REJECTED = "rejected"


_MOVES = {
    BlogPostStatus.DRAFT: [BlogPostStatus.IN_REVIEW],
    BlogPostStatus.IN_REVIEW: [BlogPostStatus.DRAFT, BlogPostStatus.APPROVED, BlogPostStatus.REJECTED],
    BlogPostStatus.APPROVED: [BlogPostStatus.PUBLISHED, BlogPostStatus.DRAFT],
    BlogPostStatus.REJECTED: [BlogPostStatus.DRAFT],
}


class BlogPost(
    Entity,
    Mutable,
    SoftDelete,
    table="blog_posts",
    line="agency",
    indexes=[
        index("-created_on", where={"deleted_on": None}),
        index("-created_on", where={"status": BlogPostStatus.IN_REVIEW, "deleted_on": None}),
    ],
):
    """An article. Its text is the blob `content` of its output, as in `url(ref_id, "output.content")`."""

    output_id: Annotated[UUID, references(ActivityOutput)]
    title: str
    status: Annotated[BlogPostStatus, moves(_MOVES)] = BlogPostStatus.DRAFT
    channel: str | None = None
    word_count: int = Field(default=0, ge=0)
    reviewed_on: datetime | None = None
    reviewed_by: str | None = None
    published_on: datetime | None = None
    external_id: str | None = None
