"""`storekit demo`: save records on real servers, check every byte, and kill a writer during a save."""

from storekit.demo.story import run

__all__ = ["run"]
