"""The main job on real servers, then broken on purpose, and every byte checked: `storekit demo`."""

from storekit.demo.story import run

__all__ = ["run"]
