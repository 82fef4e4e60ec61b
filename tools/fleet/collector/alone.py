"""One collector of a name at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tools.common.errors import ToolError


@contextlib.contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Hold FOLDER/NAME.lock (flock(2): let go by the kernel, however the process ends). Raises
    `ToolError` where another process of this machine holds it; one of another machine is noticed
    by its taking over the session."""
    path = folder / f"{name}.lock"
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ToolError(f"{path} cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise ToolError(
            f"Another collector runs as {name} here: it would lose its session to this one. Stop "
            "it first, or give this one its own certificate and --name."
        ) from None
    try:
        yield
    finally:
        os.close(number)
