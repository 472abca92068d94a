"""Find a user as which the servers can run.

PostgreSQL does not run as root, and containers often have no other user. Root therefore starts PostgreSQL in
a user namespace, in which it has another uid and no capabilities, or as another uid if namespaces are not
allowed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storekit.embedded import run_as
from storekit.embedded.directory import Directory
from storekit.embedded.trust import unprivileged_uid
from storekit.errors import ConfigurationError

Way = Literal["plain", "namespace", "user"]
_ROOTS_WAYS: tuple[Way, ...] = ("namespace", "user")
_NO_DIRECTORY, _NO_PROGRAM = 3, 4
_PROBE = f'cd "$0" || exit {_NO_DIRECTORY}; "$1" --version || exit {_NO_PROGRAM}'


@dataclass(frozen=True)
class Identity:
    """One way to run a program: as this user, in a user namespace, or as another uid."""

    way: Way
    uid: int

    def command(self, argv: Sequence[str], *, parent: int, stop: int = signal.SIGKILL) -> list[str]:
        """Return the command line that runs `argv` this way, and sends it `stop` when `parent` dies."""
        return [
            *(sys.executable, "-I", "-S", run_as.__file__),
            *(self.way, str(self.uid), str(int(stop)), str(parent)),
            *argv,
        ]

    def take_ownership(self, path: Path) -> None:
        """Change the owner of a tree to the uid that will use it. Symbolic links are not followed.

        An earlier run of the stack may have used another way, so the files may have another owner.
        """
        owner = self.uid if self.way == "user" else os.geteuid()
        if path.lstat().st_uid == owner:
            return
        for each in (*path.rglob("*"), path):
            os.chown(each, owner, -1, follow_symlinks=False)

    def probe(self, directory: Path, program: Path) -> subprocess.CompletedProcess[str]:
        """Try to enter a directory and to run a program; the exit code says which of the two failed."""
        command = ["/bin/sh", "-c", _PROBE, str(directory), str(program)]
        confined = self.command(command, parent=os.getpid())
        # A minute, as for the start of a server: the program is read from disk for the first time.
        return subprocess.run(  # noqa: S603  our own script and the wheel's program
            confined, check=False, cwd="/", capture_output=True, text=True, timeout=60
        )


PLAIN = Identity("plain", -1)


def ways() -> tuple[Way, ...]:
    """Return the ways that this process can try, in order of preference."""
    return ("plain",) if os.geteuid() else _ROOTS_WAYS


def find(directory: Directory, package: Path, choices: Sequence[Way]) -> tuple[Identity, Path]:
    """Return the first way that the machine allows, and the directory of PostgreSQL's programs.

    Raises:
        ConfigurationError: the machine allows none of them, or the directory cannot be entered.
    """
    # PostgreSQL's settings can name programs. So data that the other uid could change is not used by a
    # process that can access the files of root.
    lent = (directory.path / "postgres").exists() and (directory.path / "postgres").stat().st_uid
    for way in sorted(choices, key=lambda way: way != "user") if lent else choices:
        identity = PLAIN if way == "plain" else Identity(way, unprivileged_uid())
        if way == "user":
            # The other uid can enter the directory but not list it; the files in it have their own modes.
            directory.path.chmod(0o711)
        found = identity.probe(directory.path, _postgres(package))
        if found.returncode == run_as.REFUSED:
            continue
        if found.returncode == _NO_DIRECTORY:
            raise _unreachable(directory, identity)
        if found.returncode:
            package = _private_copy(directory, package)
            found = identity.probe(directory.path, _postgres(package))
        if found.returncode:
            raise ConfigurationError(f"cannot run {_postgres(package)}: {found.stderr.strip()[-300:]}")
        return identity, _postgres(package).parent
    raise ConfigurationError(
        "postgres cannot run as root, and this process can neither create a user namespace nor change its "
        "uid; start the stack as an ordinary user"
    )


def _postgres(package: Path) -> Path:
    return package / "pginstall" / "bin" / "postgres"


def _unreachable(directory: Directory, identity: Identity) -> ConfigurationError:
    return ConfigurationError(
        f"postgres cannot run as root and would run as uid {identity.uid}, which cannot enter "
        f"{directory.path} because of a directory above it; use a directory elsewhere (such as "
        "/var/lib/storekit), or start the stack as an ordinary user"
    )


def _private_copy(directory: Directory, package: Path) -> Path:
    """Copy the programs into the stack's directory, which the uid can enter, once for each wheel version."""
    libraries = package.parent / f"{package.name}.libs"
    stamp = int((package / "pginstall" / "bin" / "postgres").stat().st_mtime)
    copy = directory.path / f"postgres-programs-{stamp}"
    if not copy.exists():
        fresh = copy.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        for each in (package / "pginstall", libraries):
            if each.exists():
                target = fresh / each.relative_to(package.parent)
                shutil.copytree(each, target, ignore=shutil.ignore_patterns("include"))
        for each in (fresh, *fresh.rglob("*")):
            # The umask of the installation is unknown, and others must not be able to change a stack.
            each.chmod(0o755 if each.is_dir() or os.access(each, os.X_OK) else 0o644)
        fresh.rename(copy)
    return copy / package.name
