"""The three stores in memory: for users' unit tests, with the outcomes and errors of the real ones.

What only real servers can promise (durability, concurrency of processes, signatures) is not shown by them.
"""

from storekit.testing.stores.blobs import Fetched, MemoryBlobs
from storekit.testing.stores.documents import MemoryDocuments
from storekit.testing.stores.ledger import MemoryLedger
from storekit.testing.stores.state import State

__all__ = ["Fetched", "MemoryBlobs", "MemoryDocuments", "MemoryLedger", "State"]
