"""As whom the servers run: PostgreSQL refuses root, and root has ways to be somebody else."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storekit.embedded import run_as
from storekit.embedded.directory import Home
from storekit.errors import ConfigurationError

Way = Literal["plain", "namespace", "user"]
_ROOTS_WAYS: tuple[Way, ...] = ("namespace", "user")
_NO_DIRECTORY, _NO_PROGRAM = 3, 4
_PROBE = f'cd "$0" || exit {_NO_DIRECTORY}; "$1" --version || exit {_NO_PROGRAM}'


@dataclass(frozen=True)
class Identity:
    """One way to run a program."""

    way: Way
    uid: int

    def command(self, argv: Sequence[str], *, parent: int, stop: int = signal.SIGKILL) -> list[str]:
        """Make the command line that runs `argv` this way, and sends it `stop` when `parent` dies."""
        return [
            *(sys.executable, "-I", "-S", run_as.__file__),
            *(self.way, str(self.uid), str(int(stop)), str(parent)),
            *argv,
        ]

    def own(self, path: Path) -> None:
        """Give a tree to the uid that will meet it, however it was run before. Links are not followed."""
        owner = self.uid if self.way == "user" else os.geteuid()
        if path.lstat().st_uid == owner:
            return
        for each in (*path.rglob("*"), path):
            os.chown(each, owner, -1, follow_symlinks=False)

    def probe(self, directory: Path, program: Path) -> subprocess.CompletedProcess[str]:
        """Try to reach a directory and to run a program; the exit code says how far it came."""
        command = ["/bin/sh", "-c", _PROBE, str(directory), str(program)]
        confined = self.command(command, parent=os.getpid())
        return subprocess.run(  # noqa: S603  our own script and the wheel's program
            confined, check=False, cwd="/", capture_output=True, text=True, timeout=60
        )


PLAIN = Identity("plain", -1)


def ways() -> tuple[Way, ...]:
    """Name the ways open to this process, the best first."""
    return ("plain",) if os.geteuid() else _ROOTS_WAYS


def find(home: Home, package: Path, choices: Sequence[Way]) -> tuple[Identity, Path]:
    """Choose the first way that the machine allows, and the PostgreSQL programs that it reaches.

    Raises:
        ConfigurationError: no way is allowed, or it does not reach the directory.
    """
    for way in choices:
        identity = PLAIN if way == "plain" else Identity(way, _nobody())
        if way == "user":
            # Others may pass through, never look: what lies inside has modes of its own.
            home.path.chmod(0o711)
        found = identity.probe(home.path, _postgres(package))
        if found.returncode == run_as.REFUSED:
            continue
        if found.returncode == _NO_DIRECTORY:
            raise _unreachable(home, identity)
        if found.returncode:
            package = _private_copy(home, package)
            found = identity.probe(home.path, _postgres(package))
        if found.returncode:
            raise ConfigurationError(f"cannot run {_postgres(package)}: {found.stderr.strip()[-300:]}")
        return identity, _postgres(package).parent
    raise ConfigurationError(
        "postgres refuses to run as root, and this root may neither make a user namespace "
        "nor change its uid; start the stack as an ordinary user"
    )


def _postgres(package: Path) -> Path:
    return package / "pginstall" / "bin" / "postgres"


def _nobody() -> int:
    # initdb asks for the name of its uid, so it must be one that the machine knows.
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return next((each.pw_uid for each in pwd.getpwall() if each.pw_uid), 65534)


def _unreachable(home: Home, identity: Identity) -> ConfigurationError:
    return ConfigurationError(
        f"postgres cannot run as root and would run as uid {identity.uid}, which cannot reach {home.path} "
        "because of a directory above it; name a directory elsewhere (under /var/lib, say), "
        "or start the stack as an ordinary user"
    )


def _private_copy(home: Home, package: Path) -> Path:
    """Copy the programs to where the uid can reach them, once for each version of the wheel."""
    libraries = package.parent / f"{package.name}.libs"
    stamp = int((package / "pginstall" / "bin" / "postgres").stat().st_mtime)
    copy = home.path / f"postgres-programs-{stamp}"
    if not copy.exists():
        fresh = copy.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        for each in (package / "pginstall", libraries):
            if each.exists():
                target = fresh / each.relative_to(package.parent)
                shutil.copytree(each, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
        for directory in (fresh, fresh / package.name):
            directory.chmod(0o755)
        fresh.rename(copy)
    return copy / package.name
