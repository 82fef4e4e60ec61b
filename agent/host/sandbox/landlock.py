"""Restricting files and TCP ports with landlock(7).

A ruleset lists the rights that it handles; what is handled and not granted fails with EACCES.
Rights that an older kernel does not know are left out. Rules are checked at open(2), so open files
stay usable. A domain covers the calling thread and those that it starts; from ABI 8 every thread.

Source: linux/landlock.h; https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.host.sandbox.kernel import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_ALL_THREADS = 1 << 3
"""LANDLOCK_RESTRICT_SELF_TSYNC, ABI 8."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_CHAR, _MAKE_DIR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
_MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, MAKE_SYM = (1 << each for each in range(8, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READING = READ_FILE | READ_DIR
CHANGING = (
    WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_CHAR | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK
    | _MAKE_FIFO | _MAKE_BLOCK | MAKE_SYM | REFER | TRUNCATE | IOCTL_DEV
)  # fmt: skip
"""Rights that modify files or folders, or control a device."""
FOLDER = READING | WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | TRUNCATE
"""A writable folder: all but making sockets, devices, pipes and links, and moving a file from one
folder to another."""
FILE = READ_FILE | WRITE_FILE | TRUNCATE
DEVICE = READING | WRITE_FILE | TRUNCATE | IOCTL_DEV
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_MIN_ABI = {2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}

_pinned: list[int] = []
"""Descriptors of granted paths below /proc. procfs makes a new inode for an entry that fell out of
the kernel's cache, and a rule holds for the inode; an open entry stays in the cache."""

BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
"""ABI 4."""
ABSTRACT_UNIX_SOCKET, SIGNAL = 1 << 0, 1 << 1
"""Scopes, ABI 6: no abstract sockets of, and no signals to, processes outside the domain."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Handled rights and grants."""

    handled: int
    """File rights."""
    grants: tuple[tuple[Path, int], ...]
    """(file or folder with all beneath, rights); absent ones are left out."""
    ports: tuple[int, ...] = ()
    """TCP ports that may be connected to; none may be bound."""
    scoped: int = 0


def version() -> int:
    """The kernel's Landlock ABI. Raises `OSError` where it is missing or disabled."""
    return syscall(_CREATE_RULESET, 0, 0, _VERSION)


def restrict(rules: Ruleset, abi: int) -> None:
    """Irrevocably restrict this thread, from ABI 8 the process; PR_SET_NO_NEW_PRIVS must be set.
    Raises `OSError` without any effect."""
    handled = _supported(rules.handled, abi)
    ruleset = _create(
        handled, BIND_TCP | CONNECT_TCP if abi >= 4 else 0, rules.scoped if abi >= 6 else 0
    )
    try:
        for path, rights in rules.grants:
            _allow_path(ruleset, path, rights & handled)
        for port in set(rules.ports) if abi >= 4 else ():
            _add(ruleset, _NET_PORT, struct.pack("=QQ", CONNECT_TCP, port))
        syscall(_RESTRICT_SELF, ruleset, _ALL_THREADS if abi >= 8 else 0)
    finally:
        os.close(ruleset)


def existing(paths: Iterable[Path], rights: int) -> tuple[tuple[Path, int], ...]:
    """Grants of the same rights to those of `paths` that exist, without duplicates."""
    return tuple((path, rights) for path in dict.fromkeys(paths) if os.path.exists(path))


def _supported(rights: int, abi: int) -> int:
    for since, right in _MIN_ABI.items():
        if abi < since:
            rights &= ~right
    return rights


def _create(files: int, net: int, scoped: int) -> int:
    # An older kernel accepts unknown fields that are zero.
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", files, net, scoped), 24)
    return syscall(_CREATE_RULESET, ctypes.addressof(attributes), 24, 0)


def _allow_path(ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not path.is_dir():
            rights &= _FILE_RIGHTS
        if rights:
            _add(ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, handle))
    finally:
        if path.is_relative_to("/proc"):
            _pinned.append(handle)
        else:
            os.close(handle)


def _add(ruleset: int, kind: int, rule: bytes) -> None:
    buffer = ctypes.create_string_buffer(rule, len(rule))
    syscall(_ADD_RULE, ruleset, kind, ctypes.addressof(buffer), 0)
