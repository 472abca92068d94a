"""One typed record over Postgres, MongoDB and S3, made visible by one commit."""

from storekit.errors import (
    ConfigurationError,
    Conflict,
    ConstraintViolation,
    Corrupt,
    IdempotencyConflict,
    InProgress,
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
from storekit.model.fields import Expired, blob, document, references
from storekit.settings import Settings
from storekit.store import Repository, Scope, Store
from storekit.store_async import AsyncRepository, AsyncScope, AsyncStore

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
    "Expired",
    "IdempotencyConflict",
    "InProgress",
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
    "references",
]
