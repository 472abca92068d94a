"""Fields that an object does not have, although its class declares them: what reading them raises.

A document may not be loaded, the class may not be able to hold a stored value, or code of the class failed
when the record was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

from storekit.errors import Corrupt, NotLoaded, Unreadable
from storekit.model.declare.stored import EntityMemory
from storekit.model.table.table import RESERVED


class _Placeholder(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


_NOT_LOADED, _UNREADABLE = _Placeholder("<not loaded>"), _Placeholder("<unreadable>")


def raise_absent(record: BaseModel, name: str) -> None:
    """Raise the error of a field that the object does not have; return if the name is no such field.

    Raises:
        Unreadable: the class cannot hold the stored value, or its code failed for the record.
        Corrupt: the field is a document that is damaged or missing in its store.
        NotLoaded: the field is a document that is not loaded, or a blob.
    """
    table = getattr(type(record), "storekit_table", None)
    # not with getattr: this function runs because the usual look-up found nothing
    private = object.__getattribute__(record, "__pydantic_private__") or {}
    memory: EntityMemory | None = private.get("_memory")
    if table is None or memory is None:
        return
    ref_id = record.__dict__["ref_id"]
    lost = name in memory.unreadable
    if memory.failed and (lost or (name in type(record).__private_attributes__ and name not in private)):
        raise Unreadable(table.name, ref_id, None, memory.failed, version=record.__dict__.get("version"))
    if lost:
        raise Unreadable(table.name, ref_id, name, memory.unreadable[name])
    if (damage := memory.damaged.get(name)) is not None:
        raise Corrupt(damage.ref, damage.expected, damage.found)
    if name in table.parts:
        raise NotLoaded(f"{type(record).__name__}.{name}", f'load it with get(ref_id, load=["{name}"])')


def shown(record: BaseModel, facts: Callable[[], Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names and values that `repr` shows, with placeholders: `repr` must never raise.

    Args:
        facts: returns what pydantic shows. It raises if a computed field reads a field that is absent.
    """
    absent: _Placeholder | None = None
    try:
        found = dict(facts())
    except (NotLoaded, Unreadable, Corrupt) as error:
        absent = _NOT_LOADED if isinstance(error, NotLoaded) else _UNREADABLE
        fields = type(record).model_fields
        found = {
            name: value for name, value in record.__dict__.items() if name in fields and fields[name].repr
        }
    own = [name for name in found if name not in RESERVED]
    yield from (
        (name, found[name]) for name in dict.fromkeys(("id", "ref_id", *own, *found)) if name in found
    )
    table = getattr(type(record), "storekit_table", None)
    private = getattr(record, "__pydantic_private__", None) or {}
    memory: EntityMemory = private.get("_memory") or EntityMemory()
    unreadable = memory.unreadable.keys() | memory.damaged.keys() if table else ()
    yield from ((name, _UNREADABLE) for name in sorted(unreadable) if name not in record.__dict__)
    for name in table.parts if table else ():
        if name not in record.__dict__ and name not in unreadable:
            yield name, _NOT_LOADED
    if absent is not None:
        yield from ((name, absent) for name, each in type(record).model_computed_fields.items() if each.repr)
