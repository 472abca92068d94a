"""The drivers of the three stores. Only the modules of this package import client libraries."""
