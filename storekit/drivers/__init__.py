"""The drivers of the three stores. Only modules below this one import client libraries."""
