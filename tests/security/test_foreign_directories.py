"""The embedded stack uses no directory or file that another user of the machine owns or may change."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storekit import Store
from storekit.embedded import Stack, down, require, settings, status, trust, up
from storekit.embedded.directory import Directory
from storekit.errors import ConfigurationError

NOBODY = 65534
CALLS: dict[str, Callable[[Path], Any]] = {
    "start": Stack.start,
    "up": up,
    "down": down,
    "status": status,
    "settings": settings,
    "require": require,
    "embedded": lambda home: Store.embedded(home).__enter__(),
}
_read: list[str] | None = None
"""The files that this process opens, while a test looks."""


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _read is not None and event in ("open", "os.listdir", "os.remove", "os.rename", "socket.connect"):
        _read.append(f"{event} {arguments[0] if event != 'socket.connect' else arguments[1]}")


sys.addaudithook(_note)


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a stack that has not been started, in a directory like /tmp."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        stack = Directory.claim(Path(name) / "parent" / "stack").path
        (stack / "migrations").mkdir()
        for file in ("migrations/0001_app.sql", "secrets.json", "supervisor.json", "s3/security.toml"):
            (stack / file).touch(0o600)
        (stack / "postgres").mkdir(0o700)
        yield stack


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that gives an entry to another user. Only root can do that."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 4242)

    return give


def refused(home: Path, call: Callable[[Path], Any] = Directory.claim) -> str:
    """Return the error of a call, which has read, removed and connected nothing in the directory."""
    global _read
    _read = []
    try:
        with pytest.raises(ConfigurationError) as caught:
            call(home)
        assert [each for each in _read if str(home) in each] == []
    finally:
        _read = None
    return str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_no_call_uses_the_directory_of_another_user(
    home: Path, give: Callable[[Path], None], call: str
) -> None:
    """Every call refuses a directory of another user, before it reads, removes or connects anything in it."""
    give(home)
    assert "belongs to uid" in refused(home, CALLS[call])


@pytest.mark.parametrize(
    "entry",
    [
        *("..", ".", "stack.json", "secrets.json", "supervisor.json", "s3", "s3/security.toml", "log"),
        *("migrations", "migrations/0001_app.sql"),
    ],
)
@pytest.mark.parametrize("mode", [0o777, 0o702])
def test_what_others_own_or_may_change_is_refused(
    home: Path, give: Callable[[Path], None], entry: str, mode: int
) -> None:
    """A file or directory that others may change is refused, and so is one that another user owns."""
    path = Path(os.path.normpath(home / entry))
    kept = path.stat().st_mode
    path.chmod(mode)
    assert f"may change {path}" in refused(home)
    path.chmod(kept)
    Directory.claim(home)
    give(path)
    assert "belongs to uid" in refused(home)


def test_a_parent_with_the_sticky_bit(home: Path) -> None:
    """A parent that all may write to is accepted only with the sticky bit, as /tmp has it."""
    home.parent.chmod(0o1777)
    Directory.claim(home)
    home.parent.chmod(0o777)
    assert f"other users may change {home.parent}" in refused(home)


@pytest.mark.parametrize("entry", ["..", ".", "secrets.json", "migrations"])
def test_groups(home: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    """A group that may change a file or directory is accepted only if it has no other member."""
    path = Path(os.path.normpath(home / entry))
    path.chmod(path.stat().st_mode | 0o020)
    me = pwd.getpwuid(os.geteuid())
    group = path.stat().st_gid
    other = pwd.struct_passwd(("other", "x", 4242, 4242, "", "/", "/bin/sh"))
    cases: list[tuple[list[str], list[pwd.struct_passwd], bool]] = [
        ([], [me], True),
        ([me.pw_name], [me, other], True),
        ([me.pw_name, "other"], [me, other], False),
        ([], [me, pwd.struct_passwd((*other[:3], group, *other[4:]))], False),
    ]
    for members, users, accepted in cases:
        trust._is_private.cache_clear()
        monkeypatch.setattr(grp, "getgrgid", lambda _, names=members: grp.struct_group(("g", "x", 1, names)))
        monkeypatch.setattr(pwd, "getpwall", lambda known=users: known)
        if accepted:
            Directory.claim(home)
        else:
            assert f"the group {group} may change {path}" in refused(home)
    trust._is_private.cache_clear()


def test_access_lists(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An access list that lets another user change a directory is refused, whatever its group is."""
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["system.posix_acl_access"], raising=False)
    Directory.claim(home)  # the list grants no more than the mode
    home.chmod(0o770)
    assert "access list" in refused(home)


@pytest.mark.parametrize("entry", ["secrets.json", "migrations", "s3/security.toml", "log", "postgres"])
def test_links_in_a_stack_are_refused(home: Path, tmp_path: Path, entry: str) -> None:
    """A symbolic or hard link in a stack is refused: it may lead to a file of another user."""
    path = home / entry
    moved = tmp_path / "moved"
    path.rename(moved)
    path.symlink_to(moved)
    assert f"{path} is a symbolic link" in refused(home)
    path.unlink()
    if moved.is_dir():
        moved.rename(path)
        path /= "file"
        moved.touch()
    path.hardlink_to(moved)
    assert f"{path} has 2 names" in refused(home)


def test_a_pipe_is_refused(home: Path) -> None:
    """A named pipe in a stack is refused, and nobody waits for a writer."""
    (home / "stack.json").unlink()
    os.mkfifo(home / "stack.json", 0o600)
    assert "neither a file nor a directory" in refused(home)


def test_links_on_the_way(home: Path, give: Callable[[Path], None]) -> None:
    """A symbolic link to the stack is followed if it is the user's own, and its target is checked as well."""
    link = home.parent.parent / "link"
    link.symlink_to("parent/../parent")
    Directory.claim(link / "stack")
    home.parent.chmod(0o777)
    assert f"other users may change {home.parent}" in refused(link / "stack")
    home.parent.chmod(0o755)
    loop = home.parent.parent / "loop"
    loop.symlink_to(loop)
    assert "symbolic links" in refused(loop / "stack")
    give(link)
    assert "belongs to uid" in refused(link / "stack")


@pytest.mark.parametrize(
    ("uid_map", "accepted"),
    [("0 0 4294967295\n", False), ("0 1000 1\n1 9 70000\n", False), ("4242 4242 1\n", True), (None, False)],
)
def test_a_sandbox_without_root(
    home: Path,
    tmp_path: Path,
    give: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    uid_map: str | None,
    accepted: bool,
) -> None:
    """A parent whose owner is outside of the user namespace is accepted, a stack of such a user is not."""
    give(home.parent)
    give(home)
    monkeypatch.setattr(trust, "_UID_MAP", tmp_path / "uid_map")
    monkeypatch.setattr(trust, "_OVERFLOW_UID", tmp_path / "overflowuid")
    (tmp_path / "overflowuid").write_text(f"{home.stat().st_uid}\n")
    if uid_map:
        (tmp_path / "uid_map").write_text(uid_map)
    assert refused(home).startswith(f"{home} belongs to uid") == accepted


def test_the_umask_opens_nothing(tmp_path: Path) -> None:
    """With any umask, nobody else may change a new stack and its parents, so the next start accepts them."""
    program = (
        "import os, sys; os.umask(0)\n"
        "from tests.support.entities import ENTITIES; from storekit import Store\n"
        "for _ in range(2):\n"
        "    with Store.embedded(sys.argv[1], entities=ENTITIES): pass\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a" / "b" / "stack")],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert made.returncode == 0, made.stderr
