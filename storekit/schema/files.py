"""Where the schema files are: inside an installed wheel, or beside the package in its repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def root() -> Traversable:
    """Find the directory that holds `postgres/`, `mongo/` and `s3/`."""
    from importlib.resources import files

    shipped = files("storekit") / "schemas"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "schemas"
