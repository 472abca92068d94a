"""One typed record over Postgres, MongoDB and S3, made visible by one commit."""

from storekit.errors import (
    ConfigurationError,
    Conflict,
    ConstraintViolation,
    Corrupt,
    IdempotencyConflict,
    InProgress,
    InvalidTransition,
    NotFound,
    NotLoaded,
    OutcomeUnknown,
    StorekitError,
    TenantRequired,
    Unavailable,
    UsageError,
    ValidationError,
    WriteLost,
)
from storekit.lines import Line
from storekit.model.blob import Blob
from storekit.model.entity import Entity, Mutable, SoftDelete
from storekit.model.events import Event
from storekit.model.fields import Expired, blob, document, lookup, moves, references
from storekit.model.indexes import index, not_null, unique
from storekit.repository import Repository
from storekit.repository_async import AsyncRepository
from storekit.settings import Settings
from storekit.store import Scope, Store
from storekit.store_async import AsyncScope, AsyncStore

__all__ = [
    "AsyncRepository",
    "AsyncScope",
    "AsyncStore",
    "Blob",
    "ConfigurationError",
    "Conflict",
    "ConstraintViolation",
    "Corrupt",
    "Entity",
    "Event",
    "Expired",
    "IdempotencyConflict",
    "InProgress",
    "InvalidTransition",
    "Line",
    "Mutable",
    "NotFound",
    "NotLoaded",
    "OutcomeUnknown",
    "Repository",
    "Scope",
    "Settings",
    "SoftDelete",
    "Store",
    "StorekitError",
    "TenantRequired",
    "Unavailable",
    "UsageError",
    "ValidationError",
    "WriteLost",
    "blob",
    "document",
    "index",
    "lookup",
    "moves",
    "not_null",
    "references",
    "unique",
]
