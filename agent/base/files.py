"""Files that others may have a hand in: replaced atomically so that a power loss leaves the old or
the new (fsync(2), rename(2)); secrets that only their owner may read."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from agent.base.errors import ConfigError

_MAX_NAMES = 100
"""Random names to try."""
_MAX_NAME = 255 - len("..12345678.tmp")
"""Bytes of a name that fit into a temporary one (NAME_MAX of limits.h)."""


def write_atomically(
    path: Path, data: bytes | Callable[[IO[bytes]], object], mode: int | None = None
) -> None:
    """Write a temporary file beside `path`, then rename it: readers see the old content or the new.

    `data`: the content, or a function that writes it. `mode`: permissions; None: 0666 less the
    umask. The sandbox lets none be changed: there None or 0600. Raises `OSError` and leaves `path`
    unchanged; where only the folder's fsync fails, `path` holds the new content, which a power loss
    may undo. A power loss may leave the temporary file (`remove_leftovers`).
    """
    number, temporary = _make_beside(path, 0o666 if mode is None else 0o600)
    try:
        with open(number, "wb") as file:
            # A mode that it has already, such as 0600, may be asked for in the sandbox too.
            if mode is not None and stat.S_IMODE(os.fstat(number).st_mode) != mode:
                os.fchmod(number, mode)
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def close_umask() -> None:
    """Whatever this process makes from now on is closed to others than its user and group, and open
    to its user; the group as the umask has it. Units set the same (`UMask=0007`)."""
    before = os.umask(0o077)
    os.umask(before & 0o070 | 0o007)


def remove_leftovers(path: Path) -> None:
    """Remove what power cuts in the middle of `write_atomically` have left beside `path`, which
    would be one file more with each. For the file's only writer, before it writes. Never raises."""
    with contextlib.suppress(OSError):
        for each in path.parent.glob(f".{path.name}.????????.tmp"):
            with contextlib.suppress(OSError):
                each.unlink()


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """At most `max_bytes` + 1 bytes of a regular file. Raises `OSError`, also for a link, and never
    waits, as for a pipe: whoever may write the folder may have put one there."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        with open(number, "rb", closefd=False) as file:
            return file.read(max_bytes + 1)
    finally:
        os.close(number)


def refuse_endless(path: Path) -> None:
    """Raises `OSError` where a path leads to a pipe, which would be waited for, or to a device,
    which may never end."""
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # opening a folder fails by itself
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")


def read_secret(path: Path, what: str, max_bytes: int, *, roots_group: bool = False) -> bytes:
    """A regular file that nobody but its owner may read, as OpenSSH demands of its keys.

    Links are followed, as those of certbot, unless a folder on the way may be written by everybody.
    `what`: the file in words. `roots_group`: a file of root's may be read by its group, as systemd
    shows credentials. Raises `OSError` where it cannot be read, `ConfigError` naming the file and
    the command to run.
    """
    refuse_replaceable(path, what)
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{what} {path} is not a file. Name an ordinary file.")
        group = stat.S_IRGRP if roots_group and found.st_uid == 0 else 0
        beyond = stat.S_IMODE(found.st_mode) & 0o077 & ~group
        if beyond:
            how = "read" if beyond & 0o044 else "changed"
            raise ConfigError(
                f"{what} {path} may be {how} by others (mode {stat.S_IMODE(found.st_mode):04o}). "
                f"Run: chmod 600 {_quoted(path)}"
            )
        with open(number, "rb", closefd=False) as file:
            return file.read(max_bytes)
    finally:
        os.close(number)


def refuse_writable(path: Path, what: str) -> None:
    """For files that are public but decide whom to trust. Raises `OSError`, and `ConfigError` where
    others than the owner may change or replace it."""
    refuse_replaceable(path, what)
    mode = path.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{what} {path} may be changed by others (mode {stat.S_IMODE(mode):04o}). See that it "
            f"is the right one, then run: chmod go-w {_quoted(path)}"
        )


def refuse_replaceable(path: Path, what: str) -> None:
    """Raises `ConfigError` where everybody may write a folder on the way to it, or to the file that
    it is a link to. Raises `OSError`."""
    whole = Path(os.path.abspath(path)), Path(os.path.realpath(path))
    for folder in {parent: None for each in whole for parent in each.parents}:
        mode = folder.stat().st_mode
        # In a sticky folder, such as /tmp, only the owner may replace a file.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigError(
                f"{what} {path} lies in {folder}, which everybody may write (mode "
                f"{stat.S_IMODE(mode):04o}): another file can be put in its place. Run: "
                f"chmod o-w {_quoted(folder)}"
            )


def _quoted(path: Path) -> str:
    return shlex.quote(os.path.abspath(path))


def sync_folder(folder: Path) -> None:
    """fsync a folder's entries; a file's own fsync does not cover its name. Raises `OSError`, but
    not where the file system knows no fsync of folders."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def _make_beside(path: Path, mode: int) -> tuple[int, str]:
    """A new empty file in the same folder. Raises `OSError`.

    Its name is no `Path`: pathlib interns names, and Python's table of those would grow by each.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    name = os.fsdecode(os.fsencode(path.name)[:_MAX_NAME])
    for _ in range(_MAX_NAMES):
        temporary = f"{path.parent}/.{name}.{secrets.token_hex(4)}.tmp"
        try:
            return os.open(temporary, flags, mode), temporary
        except FileExistsError:
            continue
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
