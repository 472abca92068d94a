"""The errors that storekit raises. All of them derive from `StorekitError`.

    StorekitError               .step  .retryable  .index  .detail  for operators; not in the message
    ├ UsageError                the call is wrong; fix the code (no I/O was done)
    │ ├ TenantRequired          no tenant was given
    │ └ NotLoaded               .entity .field .remedy  a document field was read that is not loaded
    ├ ConfigurationError        a setting, a server or a schema is wrong
    ├ ValidationError           .entity .field  a value cannot be stored; nothing was sent
    ├ NotFound                  .table .ref_id .field
    ├ Conflict                  .table .ref_id .expected .found  another writer saved first
    ├ InvalidTransition         .from_ .to .allowed  the state machine does not allow the change
    ├ ConstraintViolation       .constraint .table .fields .held_by  a database constraint rejected the rows
    ├ IdempotencyConflict       .key  the key was used for a different request
    ├ InProgress                .key .waited  another process is saving with this key  (retryable)
    ├ NotSequenced              .position .complete_through  events are not in the log yet  (retryable)
    ├ WriteLost                 .write_id  another process took the write over  (retryable)
    ├ TooManyConflicts        .attempts  other writers were faster each time  (retryable)
    ├ Unavailable               .store  could not be reached; nothing was committed  (retryable)
    ├ OutcomeUnknown            .write_id  the commit was sent, but its response was lost  (retryable)
    ├ Unreadable                .table .ref_id .field .version  the class cannot hold a stored value
    └ Corrupt                   .ref .expected .found  the stored bytes differ from those that were saved

To retry a retryable error, repeat the call with the same object or the same idempotency key: the write
happens at most once. No message contains a secret, a signed URL or the address of a server.
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
    Unreadable,
)
from storekit.errors.retryable import (
    InProgress,
    NotSequenced,
    OutcomeUnknown,
    TooManyConflicts,
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
    "NotSequenced",
    "OutcomeUnknown",
    "StorekitError",
    "TenantRequired",
    "TooManyConflicts",
    "Unavailable",
    "Unreadable",
    "UsageError",
    "ValidationError",
    "WriteLost",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # so that tracebacks and pickles show the path that users import
