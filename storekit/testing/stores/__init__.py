"""The three stores in memory, with the results and errors of the real ones, for unit tests.

They have no durability, no concurrent processes and no real signatures.
"""

from storekit.testing.stores.blobs import Fetched, MemoryBlobs
from storekit.testing.stores.documents import MemoryDocuments
from storekit.testing.stores.ledger import MemoryLedger
from storekit.testing.stores.state import State

__all__ = ["Fetched", "MemoryBlobs", "MemoryDocuments", "MemoryLedger", "State"]
