"""What an installation gets."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_the_package_and_the_schemas_that_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrations, the mirror of storekit's own schemas and the schemas of the other stores are shipped."""
    monkeypatch.chdir(ROOT)
    with ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    package = {
        f"storekit/{path.relative_to(ROOT / 'storekit')}" for path in (ROOT / "storekit").rglob("*.py")
    }
    schemas = {
        f"storekit/{path.relative_to(ROOT)}"
        for path in (ROOT / "schemas").rglob("*.*")
        if "tests" not in path.parts and not path.is_relative_to(ROOT / "schemas/postgres/mirror/public")
    }
    assert set(names) == package | schemas | {"storekit/py.typed"}
