"""The reference is complete, and the documentation builds without warnings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sphinx.util.inventory import InventoryFile

import storekit
import storekit.agency
import storekit.testing
from storekit import Settings, StorekitError, errors
from storekit.cli import app

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation as `make docs` does; a warning fails."""
    out = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", str(ROOT / "docs"), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def documented(built: Path) -> set[str]:
    """Read the names of all Python objects that the reference describes."""
    with (built / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    return {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}


@pytest.mark.parametrize(
    "package", [storekit, storekit.testing, storekit.agency], ids=lambda each: each.__name__
)
def test_the_reference_describes_every_exported_name(documented: set[str], package: Any) -> None:
    """Every name in `__all__` of a public package has an entry in the reference."""
    assert {f"{package.__name__}.{name}" for name in package.__all__} - documented == set()


def test_the_reference_describes_every_error(documented: set[str], built: Path) -> None:
    """Every error class has an entry and is in the list of all errors."""
    page = (built / "reference" / "errors.html").read_text()
    for name, each in vars(errors).items():
        if isinstance(each, type) and issubclass(each, StorekitError):
            assert f"storekit.{name}" in documented
            assert page.count(f'#storekit.{name}"') > 1, name


def test_the_reference_describes_every_setting(built: Path) -> None:
    """Every setting and environment variable is in the table of settings, with its meaning."""
    page = (built / "reference" / "settings.html").read_text()
    for name in (*Settings.model_fields, *Settings().to_env()):
        assert f'<span class="pre">{name}</span>' in page, name


def _commands(path: str, command: Any) -> Iterator[str]:
    yield path
    for name, each in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", each)


def test_the_reference_describes_every_command(built: Path) -> None:
    """Every command and subcommand has a heading on the page of the command line."""
    page = (built / "reference" / "cli.html").read_text()
    for path in _commands("storekit", typer.main.get_command(app)):
        assert f">{path}<a" in page, path


def test_the_reference_shows_help_texts_literally(built: Path) -> None:
    """Angle brackets and hyphens of help texts are visible, and defaults are in the tables."""
    page = (built / "reference" / "cli.html").read_text()
    for text in ("-- storekit: allow &lt;rule&gt;: &lt;why&gt;", ">--line</span>", ">app=migrations</span>"):
        assert text in page, text


def test_the_picture_of_the_architecture_is_up_to_date() -> None:
    """The committed picture is what its script draws from the import contract."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "_tools" / "architecture.py"), "--check"],
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
