"""Fill the objects of a unit of work whose key has been used: another process has committed the same unit."""

from __future__ import annotations

from collections.abc import Sequence

from storekit.errors import NotFound
from storekit.flows.context import Context
from storekit.flows.read.load import found_rows, load_documents
from storekit.flows.replies import Replayed
from storekit.flows.write.operations import Operation, note_requests
from storekit.flows.write.planning import documents_of
from storekit.model.save.load import committed_from, visible
from storekit.model.save.memory import become


class BlockReplayed(BaseException):
    """Ends the block of a unit of work whose key has been used, at its first flush; the unit suppresses it.

    It is not an `Exception`, so that `except Exception` in the block does not hold it up, as with a task that
    is cancelled.
    """


class Replay(Exception):
    """Raised inside a unit of work when its first write finds that an earlier one with the key committed."""

    def __init__(self, operations: Sequence[Operation], done: Replayed) -> None:
        super().__init__("replayed")
        self.operations, self.done = operations, done


async def take_stored(
    context: Context, operations: Sequence[Operation], done: Replayed, key: str | None
) -> None:
    """Fill the objects that the earlier run saved with their stored records, including the documents.

    The code after the block then finds in its objects what it would have found after the earlier run. One
    trip, and one MongoDB trip for each collection.

    Raises:
        NotFound: a record has been deleted since; `.index` is its position.
    """
    saved = [(each, ref_id) for i, each in enumerate(operations) if (ref_id := _saved(each, done, i))]
    rows = await found_rows(context, [(each.table, ref_id) for each, ref_id in saved]) if saved else []
    loaded = []
    for (each, ref_id), row in zip(saved, rows, strict=True):
        try:
            found = visible(each.table, context.actor.tenant, row, ref_id)
        except NotFound as error:
            raise error.at(each.place) from None
        loaded.append(
            committed_from(each.entity_class, context.actor.tenant, [found], ref_id, found["version"])
        )
    for entity_class in {each.entity_class for each, _ in saved}:
        several = [each for each in loaded if type(each) is entity_class]
        await load_documents(context, several, documents_of(entity_class.storekit_table))
    for (each, _), record in zip(saved, loaded, strict=True):
        assert each.entity is not None  # noqa: S101 it was saved
        become(each.entity, record)
    note_requests(operations, key)


def _saved(operation: Operation, done: Replayed, i: int) -> str | None:
    """Return the ref_id of the record that the earlier run noted in the object of an operation."""
    if operation.entity is None:
        return None
    if not operation.keyed:
        return done.rows[i][0] if i in done.rows else operation.ref_id  # nothing of it had changed
    ref_id, version = done.rows.get(i, ("", 0))
    return ref_id if version == 1 else None  # a record that existed was not noted in the object
