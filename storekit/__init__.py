"""One typed record over Postgres, MongoDB and S3, made visible by one commit."""

from storekit.api.blob_stream import AsyncBlobStream
from storekit.api.import_cursor import Cursor
from storekit.api.import_cursor_async import AsyncCursor
from storekit.api.relay import Relay
from storekit.api.relay_async import AsyncRelay
from storekit.api.repository import Repository
from storekit.api.repository_async import AsyncRepository
from storekit.api.scope import Scope
from storekit.api.scope_async import AsyncScope
from storekit.api.store import Store
from storekit.api.store_async import AsyncStore
from storekit.api.transaction import Transaction
from storekit.api.transaction_async import AsyncTransaction
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
    NotSequenced,
    OutcomeUnknown,
    StorekitError,
    TenantRequired,
    TooManyConflicts,
    Unavailable,
    Unreadable,
    UsageError,
    ValidationError,
    WriteLost,
)
from storekit.flows.read.lookup import Found
from storekit.model.declare.entity import Entity, Mutable, SoftDelete
from storekit.model.declare.entity_class import EntityClass
from storekit.model.find.filters import (
    Filter,
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
from storekit.model.find.page import Page
from storekit.model.table.fields import (
    BlobMark,
    DocumentMark,
    Expired,
    LookupMark,
    MovesMark,
    ReferenceMark,
    blob,
    document,
    lookup,
    moves,
    references,
)
from storekit.model.table.indexes import Index, index, not_null, unique
from storekit.model.values.blob import Blob
from storekit.model.values.check_report import CheckReport, Problem, StoreCheck
from storekit.model.values.event import Event
from storekit.ports.stores import BlobStream
from storekit.schema.ddl import render
from storekit.schema.lines import Line, Migration
from storekit.settings import Settings, Tls
from storekit.trace import listen

__all__ = [
    "AsyncBlobStream",
    "AsyncCursor",
    "AsyncRelay",
    "AsyncRepository",
    "AsyncScope",
    "AsyncStore",
    "AsyncTransaction",
    "Blob",
    "BlobMark",
    "BlobStream",
    "CheckReport",
    "ConfigurationError",
    "Conflict",
    "ConstraintViolation",
    "Corrupt",
    "Cursor",
    "DocumentMark",
    "Entity",
    "EntityClass",
    "Event",
    "Expired",
    "Filter",
    "Found",
    "IdempotencyConflict",
    "InProgress",
    "Index",
    "InvalidTransition",
    "Line",
    "LookupMark",
    "Migration",
    "MovesMark",
    "Mutable",
    "NotFound",
    "NotLoaded",
    "NotSequenced",
    "OutcomeUnknown",
    "Page",
    "Problem",
    "ReferenceMark",
    "Relay",
    "Repository",
    "Scope",
    "Settings",
    "SoftDelete",
    "Store",
    "StoreCheck",
    "StorekitError",
    "TenantRequired",
    "Tls",
    "TooManyConflicts",
    "Transaction",
    "Unavailable",
    "Unreadable",
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
    "listen",
    "lookup",
    "lt",
    "moves",
    "not_null",
    "prefix",
    "references",
    "render",
    "unique",
]
