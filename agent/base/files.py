"""Atomic replacement of files that survives power loss (fsync(2), rename(2))."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_atomically(
    path: Path, data: bytes | Callable[[IO[bytes]], object], mode: int | None = None
) -> None:
    """Write a temporary file beside `path`, then rename it: readers see the old content or the new.

    `data`: the content, or a function that writes it. `mode`: permissions; None: 0666 less the
    umask. Raises `OSError` and leaves `path` unchanged; where only the folder's fsync fails, `path`
    holds the new content, which a power loss may undo. A power loss may leave the temporary file.
    """
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with open(number, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask() if mode is None else mode)
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """At most `max_bytes` + 1 bytes of a regular file. Raises `OSError`, also for a link, and never
    waits, as for a pipe: whoever may write the folder may have put one there."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        return file.read(max_bytes + 1)


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


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
