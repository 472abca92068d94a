"""Stores in memory for unit tests, which return what real servers return and raise the same errors.

Example:
    with memory_store(Note) as store:
        notes = store.scope(tenant=uuid4(), actor="test").repository(Note)
        note = notes.save(Note(title="x"))
        assert notes.get(note.ref_id).title == "x"

What only real servers can show (durability, concurrent processes, SQL of your own) needs `Store.embedded`.
"""

from storekit.testing.memory import Memory, async_memory_store, memory_store
from storekit.testing.stores import Fetched

__all__ = ["Fetched", "Memory", "async_memory_store", "memory_store"]
