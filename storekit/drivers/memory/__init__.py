"""The three stores in memory: for users' unit tests, with the outcomes and errors of the real ones.

What only real servers can promise (durability, concurrency of processes, signatures) is not shown by them.
"""

from storekit.drivers.memory.blobs import Fetched, MemoryBlobs
from storekit.drivers.memory.documents import MemoryDocuments
from storekit.drivers.memory.ledger import MemoryLedger
from storekit.drivers.memory.state import State

__all__ = ["Fetched", "MemoryBlobs", "MemoryDocuments", "MemoryLedger", "State"]
