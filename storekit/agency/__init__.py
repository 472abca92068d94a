"""Example entities: what AI agents produce for the customers (tenants) of a marketing agency.

Declarations only; their migrations are the line "agency".
"""

from storekit.agency.contracts import Contract
from storekit.agency.costs import LlmCall
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
from storekit.agency.tenants import ActivityTemplate, Session, Tenant

ENTITIES = (
    ActivityRun,
    ActivityOutput,
    ToolCall,
    BlogPost,
    Contract,
    Tenant,
    Session,
    ActivityTemplate,
    LlmCall,
)
"""All entities, in the order of their migrations."""

__all__ = [
    "ENTITIES",
    "ActivityOutput",
    "ActivityOutputStatus",
    "ActivityRun",
    "ActivityRunStatus",
    "ActivityTemplate",
    "BlogPost",
    "BlogPostStatus",
    "Contract",
    "LlmCall",
    "OutputMetadata",
    "Session",
    "Tenant",
    "ToolCall",
    "ToolCallStatus",
    "ToolPayload",
]
