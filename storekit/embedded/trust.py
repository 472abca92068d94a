"""Refuse files that another user of the machine owns or may change, before anything is read from them."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from storekit.errors import ConfigurationError

_ROOT = 0
_MOST_LINKS = 40
"""Symbolic links on one path; the kernel has the same limit."""
_DATA = "postgres"
"""The entry of a stack that may belong to the other uid as which root runs PostgreSQL."""
_UID_MAP, _OVERFLOW_UID = Path("/proc/self/uid_map"), Path("/proc/sys/kernel/overflowuid")
_ACCESS_LIST = "system.posix_acl_access"


def check_way(path: Path) -> None:
    """Check each directory and symbolic link on the way to an absolute path, and what the path leads to.

    Whoever may write to one of these directories could put another one in its place. In a directory with the
    sticky bit, such as /tmp, only the owner of an entry can do that. The check ends where nothing exists.

    Raises:
        ConfigurationError: another user owns or may change one of them.
    """
    here, todo, links = Path(path.anchor), list(reversed(path.parts[1:])), 0
    _check_directory(here, here.lstat())
    while todo:
        part = todo.pop()
        if part == "..":  # only in the target of a link: the path itself was normalised
            here = here.parent
            continue
        entry = here / part
        try:
            found = entry.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISLNK(found.st_mode):
            _check_directory(entry, found)
            here = entry
            continue
        _check_owner(entry, found, _trusted())
        links += 1
        if links > _MOST_LINKS:
            raise ConfigurationError(f"{path} leads through more than {_MOST_LINKS} symbolic links")
        target = Path(os.readlink(entry))
        todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        here = Path(target.anchor) if target.is_absolute() else here


def check_own(path: Path) -> None:
    """Check that this user owns a directory and that nobody else may change it."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise _belongs(path, found.st_uid)
    _check_mode(path, found)


def check_tree(path: Path) -> None:
    """Check everything in the directory of a stack, which has passed `check_own`.

    Symbolic links and hard links are refused: what they lead to may be another user's file.
    """
    mine = {os.geteuid(), _ROOT}
    for entry in _entries(path):
        lent = not os.geteuid() and (entry.name == _DATA or entry.name.startswith(f"{_DATA}.new"))
        _check_entry(entry, mine | {unprivileged_uid()} if lent else mine)


def unprivileged_uid() -> int:
    """Return the uid as which root runs PostgreSQL if it cannot create a user namespace."""
    # initdb looks up the name of its uid, so the uid must have an entry in the user database.
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return next((each.pw_uid for each in pwd.getpwall() if each.pw_uid), 65534)


def _check_entry(entry: os.DirEntry[str], owners: set[int]) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # a running server has removed it
        return
    path = Path(entry.path)
    _check_owner(path, found, owners)
    if stat.S_ISLNK(found.st_mode):
        raise ConfigurationError(
            f"{path} is a symbolic link, which is not allowed in the directory of a stack; "
            "replace it by what it leads to"
        )
    _check_mode(path, found)
    if stat.S_ISDIR(found.st_mode):
        for each in _entries(path):
            _check_entry(each, owners)
    elif stat.S_ISREG(found.st_mode):
        if found.st_nlink > 1:
            raise ConfigurationError(
                f"{path} has {found.st_nlink} names (hard links), so it can be changed from outside of the "
                "stack; replace it by a copy"
            )
    elif not stat.S_ISSOCK(found.st_mode):
        raise ConfigurationError(f"{path} is neither a file nor a directory; remove it")


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(path) as found:
        yield from found


def _check_directory(path: Path, found: os.stat_result) -> None:
    _check_owner(path, found, _trusted())
    if not found.st_mode & stat.S_ISVTX:
        _check_mode(path, found)


def _trusted() -> set[int]:
    """Return the uids that may own the directories above a stack: this user, and root by any of its names.

    A sandbox may be a user namespace without root. The files of all users that it does not contain seem to
    have one uid then, and those above a stack are usually root's.
    """
    return {os.geteuid(), _ROOT} | _outside(_UID_MAP, _OVERFLOW_UID)


@cache
def _outside(uid_map: Path, overflow_uid: Path) -> frozenset[int]:
    try:
        lines = uid_map.read_text().splitlines()
        uid = int(overflow_uid.read_text())
    except OSError:  # not Linux
        return frozenset()
    ranges = [range(first, first + count) for first, _, count in (map(int, line.split()) for line in lines)]
    return frozenset() if any(uid in each for each in ranges) else frozenset({uid})


def _check_owner(path: Path, found: os.stat_result, owners: set[int]) -> None:
    if found.st_uid not in owners:
        raise _belongs(path, found.st_uid)


def _belongs(path: Path, owner: int) -> ConfigurationError:
    return ConfigurationError(
        f"{path} belongs to uid {owner}, this process is uid {os.geteuid()}; "
        "start the embedded stack as that user, or use another directory"
    )


def _check_mode(path: Path, found: os.stat_result) -> None:
    if found.st_mode & stat.S_IWOTH:
        raise ConfigurationError(f"other users may change {path}; {_remedy(path, 'chmod o-w')}")
    if found.st_mode & stat.S_IWGRP:
        # With an access list, these bits are the most that the list grants, whoever it names.
        if _has_access_list(path):
            raise ConfigurationError(
                f"the access list (ACL) of {path} lets others change it; {_remedy(path, 'setfacl -b')}"
            )
        if not _is_private(found.st_gid, os.geteuid()):
            raise ConfigurationError(
                f"the group {found.st_gid} may change {path}; {_remedy(path, 'chmod g-w')}"
            )


def _remedy(path: Path, command: str) -> str:
    return f"check its content, then run: {command} {path}; or use another directory"


def _has_access_list(path: Path) -> bool:
    if not hasattr(os, "listxattr"):
        return False
    with suppress(OSError):  # the file system has no access lists
        return _ACCESS_LIST in os.listxattr(path, follow_symlinks=False)
    return False


@cache
def _is_private(group: int, user: int) -> bool:
    """Return whether a group has no members but this user, as the groups that useradd makes for each user."""
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:  # its members are unknown
        return False
    known = pwd.getpwall()
    mine = {each.pw_name for each in known if each.pw_uid in (user, _ROOT)}
    return members <= mine and all(each.pw_uid in (user, _ROOT) for each in known if each.pw_gid == group)
