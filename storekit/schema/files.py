"""Locate the schema files: inside the installed wheel, or next to the package in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def root() -> Traversable:
    """Return the directory that contains `postgres/`, `mongo/` and `s3/`."""
    from importlib.resources import files

    shipped = files("storekit") / "schemas"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "schemas"
