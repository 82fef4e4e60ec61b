"""Which files and TCP ports each process may reach: landlock(7), the kernel's sandbox for anyone.

A ruleset names the rights that it handles; what is handled and not granted is refused with EACCES.
Older kernels know fewer rights: those are left out, and the rest holds. Rules hold for open(2), so
what is open already stays usable. A domain covers the calling thread and those that it starts; from
ABI 8 on every thread.

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
_MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << each for each in range(8, 13))
_REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READING = READ_FILE | READ_DIR
CHANGING = (
    WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_CHAR | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK
    | _MAKE_FIFO | _MAKE_BLOCK | _MAKE_SYM | _REFER | TRUNCATE | IOCTL_DEV
)  # fmt: skip
"""Everything that alters a file or a folder, or commands a device."""
FOLDER = (
    READING | WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK
    | _REFER | TRUNCATE
)  # fmt: skip
"""A folder of one's own: all but devices, pipes and links."""
DEVICE = READING | WRITE_FILE | TRUNCATE | IOCTL_DEV
_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_SINCE = {2: _REFER, 3: TRUNCATE, 5: IOCTL_DEV}

BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
"""ABI 4."""
ABSTRACT_UNIX_SOCKET, SIGNAL = 1 << 0, 1 << 1
"""Scopes, ABI 6: abstract sockets and processes outside the domain are out of reach."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What is handled, and what of it is granted."""

    handled: int
    """Rights to files."""
    grants: tuple[tuple[Path, int], ...]
    """Files, or folders with all beneath, and the rights to them; absent ones are left out."""
    ports: tuple[int, ...] = ()
    """TCP ports to which connections may be made; none may be listened on."""
    scoped: int = 0


def version() -> int:
    """The kernel's Landlock ABI. Raises `OSError` where there is none or it is switched off."""
    return syscall(_CREATE_RULESET, 0, 0, _VERSION)


def restrict(rules: Ruleset, abi: int) -> None:
    """Confine this thread, and from ABI 8 on the process, for good; PR_SET_NO_NEW_PRIVS must be
    set. Raises `OSError`, and then nothing has changed."""
    handled = _understood(rules.handled, abi)
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
    """Grants of the same rights to those of `paths` that are there, each once."""
    return tuple((path, rights) for path in dict.fromkeys(paths) if os.path.exists(path))


def _understood(rights: int, abi: int) -> int:
    for since, right in _SINCE.items():
        if abi < since:
            rights &= ~right
    return rights


def _create(files: int, net: int, scoped: int) -> int:
    # Fields that an older kernel does not know are accepted as long as they are zero.
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", files, net, scoped), 24)
    return syscall(_CREATE_RULESET, ctypes.addressof(attributes), 24, 0)


def _allow_path(ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not path.is_dir():
            rights &= _OF_A_FILE
        if rights:
            _add(ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, handle))
    finally:
        os.close(handle)


def _add(ruleset: int, kind: int, rule: bytes) -> None:
    held = ctypes.create_string_buffer(rule, len(rule))
    syscall(_ADD_RULE, ruleset, kind, ctypes.addressof(held), 0)
