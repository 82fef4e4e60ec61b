"""Atomic replacement of files that survives power loss (fsync(2), rename(2))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_atomically(
    path: Path, data: bytes | Callable[[IO[bytes]], object], mode: int | None = None
) -> None:
    """Write a temporary file beside `path`, then rename it: readers see the old content or the new.

    `data`: the content, or a function that writes it. `mode`: permissions; None: 0666 less the
    umask. For one writer at a time. Raises `OSError` and leaves `path` unchanged.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()  # left after a power loss
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    number = os.open(temporary, flags, 0o666 if mode is None else 0o600)
    try:
        with open(number, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """fsync a folder's entries; a file's own fsync does not cover its name. Raises `OSError`."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
