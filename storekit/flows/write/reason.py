"""The reason of a change, which its event keeps."""

from __future__ import annotations

from storekit.errors import UsageError, ValidationError
from storekit.model.declare.entity import Entity
from storekit.model.values.limits import check_length, check_text

_LONGEST_REASON = 4000


def check_reason(reason: str | None, entity: type[Entity] | None = None) -> None:
    """Check the reason of a change of a record.

    Raises:
        ValidationError: it is not a text of at most 4,000 characters.
        UsageError: it is missing, and each change of the class needs one.
    """
    if reason is not None:
        if not isinstance(reason, str):
            raise ValidationError(f"it must be str, not {type(reason).__name__}", field="reason")
        check_length(check_text(reason, "reason"), _LONGEST_REASON, "reason")
    if entity is not None and entity.storekit_table.reason_required and not (reason or "").strip():
        raise UsageError(f"each change of {entity.__name__} needs a reason; pass reason=...")
