"""One typed record over Postgres, MongoDB and S3, made visible by one commit."""

from storekit.cursor import AsyncCursor, Cursor
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
from storekit.model.filters import (
    between,
    contains,
    ge,
    gt,
    has_key,
    in_,
    is_null,
    json_path,
    le,
    lt,
    prefix,
)
from storekit.model.indexes import index, not_null, unique
from storekit.model.page import Page
from storekit.repository import Repository
from storekit.repository_async import AsyncRepository
from storekit.settings import Settings
from storekit.store import Scope, Store
from storekit.store_async import AsyncScope, AsyncStore
from storekit.transaction import Transaction
from storekit.transaction_async import AsyncTransaction

__all__ = [
    "AsyncCursor",
    "AsyncRepository",
    "AsyncScope",
    "AsyncStore",
    "AsyncTransaction",
    "Blob",
    "ConfigurationError",
    "Conflict",
    "ConstraintViolation",
    "Corrupt",
    "Cursor",
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
    "Page",
    "Repository",
    "Scope",
    "Settings",
    "SoftDelete",
    "Store",
    "StorekitError",
    "TenantRequired",
    "Unavailable",
    "Transaction",
    "UsageError",
    "ValidationError",
    "WriteLost",
    "between",
    "blob",
    "contains",
    "document",
    "ge",
    "gt",
    "has_key",
    "in_",
    "index",
    "is_null",
    "json_path",
    "le",
    "lookup",
    "lt",
    "moves",
    "not_null",
    "prefix",
    "references",
    "unique",
]
