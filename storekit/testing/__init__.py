"""For users' tests: stores in memory that behave as the real ones do.

with memory_store(Note) as store:
    notes = store.scope(tenant=uuid4(), actor="test").repository(Note)
    ...
"""

from storekit.testing.memory import Memory, async_memory_store, memory_store
from storekit.testing.stores import Fetched

__all__ = ["Fetched", "Memory", "async_memory_store", "memory_store"]
