"""Atomic replacement of files that survives power loss (fsync(2), rename(2))."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

_MAX_NAMES = 100
"""Random names to try."""


def write_atomically(
    path: Path, data: bytes | Callable[[IO[bytes]], object], mode: int | None = None
) -> None:
    """Write a temporary file beside `path`, then rename it: readers see the old content or the new.

    `data`: the content, or a function that writes it. `mode`: permissions; None, as it must be in
    the sandbox, which lets none be changed: 0666 less the umask. Raises `OSError` and leaves `path`
    unchanged; where only the folder's fsync fails, `path` holds the new content, which a power loss
    may undo. A power loss may leave the temporary file.
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
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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


def _make_beside(path: Path, mode: int) -> tuple[int, Path]:
    """A new empty file in the same folder. Raises `OSError`."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(_MAX_NAMES):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            return os.open(temporary, flags, mode), temporary
        except FileExistsError:
            continue
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
