"""Stores in memory for unit tests. They return the same results and raise the same errors as real servers.

Example:
    with memory_store(Note) as store:
        notes = store.scope(tenant=uuid4(), actor="test").repository(Note)
        note = notes.save(Note(title="x"))
        assert notes.get(note.ref_id).title == "x"

To test durability, concurrent processes or your own SQL, use real servers: `Store.embedded`.
"""

from storekit.testing import faults
from storekit.testing.memory import Memory, async_memory_store, memory_store
from storekit.testing.stores import Fetched

__all__ = ["Fetched", "Memory", "async_memory_store", "faults", "memory_store"]
