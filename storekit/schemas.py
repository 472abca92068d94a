"""Where the schema files are: inside an installed wheel, or beside the package in its repository."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def root() -> Traversable:
    """Find the directory that holds `postgres/`, `mongo/` and `s3/`."""
    shipped = files("storekit") / "schemas"
    return shipped if shipped.is_dir() else Path(__file__).parent.parent / "schemas"
