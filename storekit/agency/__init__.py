"""The reference domain: what agents produce for the tenants of a marketing agency.

Declarations only; their migrations are the line `agency`.
"""

from storekit.agency.contracts import Contract
from storekit.agency.posts import BlogPost, BlogPostStatus
from storekit.agency.runs import (
    ActivityOutput,
    ActivityOutputStatus,
    ActivityRun,
    ActivityRunStatus,
    OutputMetadata,
    ToolCall,
    ToolCallStatus,
    ToolPayload,
)

ENTITIES = (ActivityRun, ActivityOutput, ToolCall, BlogPost, Contract)
"""In the order of their migrations."""

__all__ = [
    "ENTITIES",
    "ActivityOutput",
    "ActivityOutputStatus",
    "ActivityRun",
    "ActivityRunStatus",
    "BlogPost",
    "BlogPostStatus",
    "Contract",
    "OutputMetadata",
    "ToolCall",
    "ToolCallStatus",
    "ToolPayload",
]
