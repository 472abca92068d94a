"""The base class of all errors."""

from __future__ import annotations

from typing import Any, ClassVar, Self

_LONGEST = 10_000
"""Characters of a message. A message quotes the beginning of a value only; this limits what escapes that."""


class StorekitError(Exception):
    """Base class of all errors that storekit raises.

    >>> [error.__name__ for error in StorekitError.__subclasses__() if error.retryable]
    ['InProgress', 'NotSequenced', 'WriteLost', 'TooManyConflicts', 'Unavailable', 'OutcomeUnknown']

    Attributes:
        retryable: whether the same call, with the same object or idempotency key, may succeed later.
        step: name of the store operation that failed, such as "s3.put"; None if no operation was involved.
        index: position of the failing record in the batch, counted from 0; None outside batches.
        detail: what the message leaves out because clients must not see it: addresses of servers, and the
            server's own words. Python shows it below the message in a traceback. None if there is nothing.
    """

    retryable: ClassVar[bool] = False
    index: int | None = None
    detail: str | None = None

    def __init__(self, message: str, *, step: str | None = None, detail: str | None = None) -> None:
        super().__init__(_shortened(message))
        self.step = step
        if detail:
            self.detail = _shortened(detail)
            self.add_note(self.detail)  # tracebacks show it, but str(error) does not

    def at(self, index: int) -> Self:
        """Return the error with `index` set and in front of its message, unless it is set already."""
        if self.index is None:
            self.index, self.args = index, (f"[{index}] {self}",)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Python's own would call the class with the message alone, and most errors take other arguments
        return StorekitError.__new__, (type(self), *self.args), self.__dict__


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
