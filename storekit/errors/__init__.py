"""Every error that storekit raises, under one root.

    StorekitError               .step  .retryable  .index  position in the batch
    ├ UsageError                the call is wrong; fix the code (no I/O was done)
    │ ├ TenantRequired          no tenant was named
    │ └ NotLoaded               .field  a document was read that was not loaded
    ├ ConfigurationError        a setting, a server or a schema is wrong
    ├ ValidationError           .field  a value cannot be stored; nothing was sent
    ├ NotFound                  .table .ref_id .field
    ├ Conflict                  .table .ref_id .expected .found  another writer saved first
    ├ InvalidTransition         .from_ .to .allowed  the state machine does not allow the change
    ├ ConstraintViolation       .constraint .fields  the database refused the rows
    ├ IdempotencyConflict       .key  the key was used for a different request
    ├ InProgress                .key  another process is saving under this key   (retryable)
    ├ WriteLost                 .write_id  the write was taken over; nothing is visible (retryable)
    ├ Unavailable               .store  could not be reached; nothing is visible  (retryable)
    ├ OutcomeUnknown            .write_id  commit was sent, its response was lost (retryable)
    └ Corrupt                   .ref .expected .found  the bytes are not what was saved

To retry a retryable error, repeat the call with the same object or the same idempotency key: the write
happens at most once. No message contains a secret or a signed URL.
"""

from storekit.errors.base import (
    StorekitError,
)
from storekit.errors.refusals import (
    Conflict,
    ConstraintViolation,
    Corrupt,
    IdempotencyConflict,
    InvalidTransition,
    NotFound,
)
from storekit.errors.retryable import (
    InProgress,
    OutcomeUnknown,
    Unavailable,
    WriteLost,
)
from storekit.errors.usage import (
    ConfigurationError,
    NotLoaded,
    TenantRequired,
    UsageError,
    ValidationError,
)

__all__ = [
    "ConfigurationError",
    "Conflict",
    "ConstraintViolation",
    "Corrupt",
    "IdempotencyConflict",
    "InProgress",
    "InvalidTransition",
    "NotFound",
    "NotLoaded",
    "OutcomeUnknown",
    "StorekitError",
    "TenantRequired",
    "Unavailable",
    "UsageError",
    "ValidationError",
    "WriteLost",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # tracebacks and pickles use the name that users import
